//! A container's network.

use super::bridge::Attachment;
pub use super::mac::MacAddress;
use super::pasta::PastaOptions;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// A container's network, resolved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// How it is connected.
    pub mode: NetworkMode,
    /// Published ports, ranges expanded.
    pub ports: Vec<PortPublish>,
    /// Name resolution.
    pub dns: DnsSpec,
    /// Extra `/etc/hosts` entries: name and address.
    pub hosts: Vec<HostEntry>,
    /// What `/etc/hosts` is made from.
    #[serde(default)]
    pub hosts_base: HostsBase,
}

/// What `/etc/hosts` is made from (`--hosts-file`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostsBase {
    /// The lines of localhost; with the host's network, the host's file.
    #[default]
    Localhost,
    /// Nothing.
    Empty,
    /// The image's file.
    Image,
    /// This file of the host, absolute.
    File(PathBuf),
}

/// How a container is connected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// What containers usually get here; in a request only.
    #[default]
    Private,
    /// Loopback only.
    None,
    /// The host's network.
    Host,
    /// User-mode networking by slirp4netns.
    Slirp(SlirpOptions),
    /// User-mode networking by pasta.
    Pasta(PastaOptions),
    /// Networks that it shares with others, in this order; at least one when it is made.
    Bridge(Vec<Attachment>),
    /// That container's, by its id; in a request, as it was written.
    Container(String),
    /// The network namespace at this path.
    Ns(PathBuf),
}

impl NetworkMode {
    /// Whether processes of ours carry the network, so that published ports mean anything. With `none` and `host` they are dropped with a warning, as
    /// podman does.
    pub fn carries_ports(&self) -> bool {
        self.is_own() && *self != NetworkMode::None
    }

    /// Whether connections to the outside are made in the host's network (`accelerate`).
    pub fn is_accelerated(&self) -> bool {
        match self {
            NetworkMode::Slirp(options) => options.accelerate == Some(true),
            NetworkMode::Bridge(all) => all.iter().any(|one| one.accelerate == Some(true)),
            _ => false,
        }
    }

    /// Has them made there where nothing was said about it, and nothing speaks against it.
    pub fn accelerate(&mut self) {
        match self {
            NetworkMode::Slirp(options) if !options.has_outbound() => {
                options.accelerate.get_or_insert(true);
            }
            NetworkMode::Bridge(all) if all.iter().all(|one| one.accelerate.is_none()) => {
                all.iter_mut().for_each(|one| one.accelerate = Some(true));
            }
            _ => {}
        }
    }

    /// Whether the container gets a network namespace of its own.
    pub fn is_own(&self) -> bool {
        match self {
            NetworkMode::Private
            | NetworkMode::None
            | NetworkMode::Slirp(_)
            | NetworkMode::Pasta(_)
            | NetworkMode::Bridge(_) => true,
            NetworkMode::Host | NetworkMode::Container(_) | NetworkMode::Ns(_) => false,
        }
    }
}

/// The mode's name as `inspect` shows it.
impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkMode::Private => f.write_str("private"),
            NetworkMode::None => f.write_str("none"),
            NetworkMode::Host => f.write_str("host"),
            NetworkMode::Slirp(_) => f.write_str("slirp4netns"),
            NetworkMode::Pasta(_) => f.write_str("pasta"),
            NetworkMode::Bridge(_) => f.write_str("bridge"),
            NetworkMode::Container(id) => write!(f, "container:{id}"),
            NetworkMode::Ns(path) => write!(f, "ns:{}", path.display()),
        }
    }
}

/// `--network slirp4netns:...`, as podman documents it (podman-run(1)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlirpOptions {
    /// MTU in bytes, 68 to 65521.
    pub mtu: u32,
    /// IPv4 network of the container.
    pub cidr: Cidr,
    /// IPv6 too.
    pub ipv6: bool,
    /// The gateway's address reaches the host's loopback.
    pub allow_host_loopback: bool,
    /// IPv4 address or interface that connections leave the host from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_addr: Option<String>,
    /// IPv6 address or interface that connections leave the host from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_addr6: Option<String>,
    /// The hardware address of the container's interface; slirp4netns' choice when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// Published TCP ports show the client's address inside; off with `port_handler=rootlesskit`.
    pub keep_client: bool,
    /// Connections are made in the host's network; as the configuration says when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerate: Option<bool>,
}

impl Default for SlirpOptions {
    fn default() -> Self {
        SlirpOptions {
            mtu: 65520,
            cidr: Cidr::default(),
            ipv6: false,
            allow_host_loopback: false,
            outbound_addr: None,
            outbound_addr6: None,
            mac: None,
            keep_client: true,
            accelerate: None,
        }
    }
}

impl SlirpOptions {
    /// Whether an address or interface is named that connections leave from.
    pub fn has_outbound(&self) -> bool {
        self.outbound_addr.is_some() || self.outbound_addr6.is_some()
    }

    /// The container's IPv4 address: network + 100 (slirp4netns(1)).
    pub fn address(&self) -> Ipv4Addr {
        self.cidr.host(100)
    }

    /// The gateway, which is the host when its loopback is allowed: network + 2.
    pub fn gateway(&self) -> Ipv4Addr {
        self.cidr.host(2)
    }

    /// The address beside the gateway that nobody has: network + 1.
    pub fn neighbour(&self) -> Ipv4Addr {
        self.cidr.host(1)
    }

    /// slirp4netns' own name server: network + 3.
    pub fn dns(&self) -> Ipv4Addr {
        self.cidr.host(3)
    }

    /// The IPv6 gateway.
    pub fn gateway6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)
    }
}

/// An IPv4 network in CIDR form, at least 128 addresses wide, as slirp4netns needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    network: Ipv4Addr,
    prefix: u8,
}

impl Cidr {
    /// How many bits the network's addresses have in common.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The address `offset` above the network's.
    fn host(&self, offset: u8) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() + u32::from(offset))
    }
}

impl Default for Cidr {
    fn default() -> Self {
        Cidr { network: Ipv4Addr::new(10, 0, 2, 0), prefix: 24 }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortPublish {
    /// Host address to listen on; `None` is every address, IPv4 and IPv6.
    pub host_ip: Option<IpAddr>,
    /// Host port; 0 asks the kernel for a free one.
    pub host_port: u16,
    /// Any free port from `host_port` to this one will do (`8000-8010:80`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port_end: Option<u16>,
    /// Port inside.
    pub container_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

/// The host's address of a published port, as it stands before the port: `0.0.0.0` for every address, `[::1]`.
pub fn host_address(ip: Option<IpAddr>) -> String {
    match ip {
        None => "0.0.0.0".to_owned(),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("[{ip}]"),
    }
}

/// `0.0.0.0:8080->80/tcp`, as listings show it.
impl fmt::Display for PortPublish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", host_address(self.host_ip), self.host_port)?;
        if let Some(end) = self.host_port_end {
            write!(f, "-{end}")?;
        }
        write!(f, "->{}/{}", self.container_port, self.protocol)
    }
}

/// Transport protocol of a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The word behind a port.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

/// The word behind a port, large or small; `Err` for any other.
impl std::str::FromStr for Protocol {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        all.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Name resolution inside; empty lists mean the host's, with loopback resolvers replaced by slirp's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DnsSpec {
    /// Leave the image's `/etc/resolv.conf` as it is (`--dns none`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_image: bool,
    /// `nameserver` addresses.
    pub servers: Vec<IpAddr>,
    /// `search` domains; a single `.` means none at all.
    pub search: Vec<String>,
    /// `options` words.
    pub options: Vec<String>,
}

/// One extra `/etc/hosts` line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostEntry {
    /// Host name.
    pub name: String,
    /// Its address; `None` is the host as the container reaches it (`host-gateway`).
    pub address: Option<IpAddr>,
}

impl std::str::FromStr for Cidr {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(network, prefix)| {
            Some(Cidr { network: network.parse().ok()?, prefix: prefix.parse().ok()? })
        });
        let cidr = parts.ok_or(format!("cidr {text:?} is not an IPv4 network such as 10.0.2.0/24"))?;
        if !(1..=25).contains(&cidr.prefix) {
            return Err(format!("cidr {text:?} has a prefix outside 1 to 25"));
        }
        let mask = u32::MAX << (32 - cidr.prefix);
        let bits = cidr.network.to_bits();
        if bits & mask != bits {
            let network = Cidr { network: Ipv4Addr::from_bits(bits & mask), ..cidr };
            return Err(format!("cidr {text:?} is an address in a network; the network is {network}"));
        }
        Ok(cidr)
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> String {
        cidr.to_string()
    }
}
