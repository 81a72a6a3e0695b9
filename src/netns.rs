//! The container's network: what is planned, and who carries it out.
//!
//! Theory of operation. Option text becomes the plain types below ([`parse_publish`], [`parse_network`],
//! [`parse_add_host`], [`dns_plan`]), which are part of the container's plan. To run it, the host side of
//! published ports is bound first and in the host's network ([`listen`]); then `slirp4netns` is started
//! on the container's network namespace, and a forwarder leaf takes the listeners into it ([`forwarder`]).
//! Nothing here needs a privilege on the host.

pub mod files;
pub mod forwarder;
mod listen;
mod mode;
mod names;
mod publish;
pub mod slirp;

pub use listen::{Listener, listen};
pub use mode::parse_network;
pub use names::{dns_plan, parse_add_host};
pub use publish::{ExposedPort, check_publish, parse_expose, parse_publish, publish_exposed};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;

/// A container's network, resolved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NetPlan {
    /// How it is connected.
    pub mode: NetMode,
    /// Published ports, ranges expanded.
    pub ports: Vec<PortPublish>,
    /// Name resolution.
    pub dns: DnsPlan,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetMode {
    /// Loopback only.
    None,
    /// The host's network.
    Host,
    /// User-mode networking by slirp4netns.
    Slirp(SlirpOptions),
    /// That container's, by its id; in a request, as it was written.
    Container(String),
    /// The network namespace at this path.
    Ns(PathBuf),
}

impl NetMode {
    /// Whether published ports mean anything. With `none` and `host` they are dropped with a warning, as
    /// podman does.
    pub fn carries_ports(&self) -> bool {
        matches!(self, NetMode::Slirp(_))
    }

    /// Whether the container gets a network namespace of its own.
    pub fn is_own(&self) -> bool {
        matches!(self, NetMode::Slirp(_) | NetMode::None)
    }
}

impl Default for NetMode {
    fn default() -> Self {
        NetMode::Slirp(SlirpOptions::default())
    }
}

/// The mode's name as `inspect` shows it.
impl fmt::Display for NetMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetMode::None => f.write_str("none"),
            NetMode::Host => f.write_str("host"),
            NetMode::Slirp(_) => f.write_str("slirp4netns"),
            NetMode::Container(id) => write!(f, "container:{id}"),
            NetMode::Ns(path) => write!(f, "ns:{}", path.display()),
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
    /// Published TCP ports show the client's address inside; off with `port_handler=rootlesskit`.
    pub keep_client: bool,
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
            keep_client: true,
        }
    }
}

impl SlirpOptions {
    /// The container's IPv4 address: network + 100 (slirp4netns(1)).
    pub fn address(&self) -> Ipv4Addr {
        self.cidr.host(100)
    }

    /// The gateway, which is the host when its loopback is allowed: network + 2.
    pub fn gateway(&self) -> Ipv4Addr {
        self.cidr.host(2)
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

/// `0.0.0.0:8080->80/tcp`, as listings show it.
impl fmt::Display for PortPublish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            None => f.write_str("0.0.0.0")?,
            Some(IpAddr::V4(ip)) => ip.fmt(f)?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
        }
        write!(f, ":{}", self.host_port)?;
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
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// Name resolution inside; empty lists mean the host's, with loopback resolvers replaced by slirp's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DnsPlan {
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

/// Brings loopback up in this thread's network namespace.
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` in the namespace.
pub fn loopback_up() -> nix::Result<()> {
    crate::sys::net::interface_up("lo")
}

/// The host's primary IPv4 address: the one that packets to the outside leave from. Nothing is sent.
///
/// `None` on a machine without a route. With user-mode networking a container reaches the host under this
/// address; the gateway's would need the host's loopback to be open.
pub fn host_address() -> Option<Ipv4Addr> {
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // A documentation address (RFC 5737): connecting a datagram socket only looks the route up.
    probe.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).ok()?;
    match probe.local_addr().ok()? {
        SocketAddr::V4(address) if !address.ip().is_unspecified() => Some(*address.ip()),
        _ => None,
    }
}

/// The host's name servers, as text in the form of resolv.conf(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostResolver {
    /// The host's `/etc/resolv.conf`; empty when there is none.
    pub text: String,
    /// Whether slirp4netns can relay to it: its sandbox sees `/etc` and `/run` only (slirp4netns(1)),
    /// which leaves out a link to elsewhere, as WSL has.
    pub relayed: bool,
}

/// Reads the host's name servers.
///
/// Where systemd-resolved answers on loopback, its list of real servers is given instead.
pub fn host_resolver() -> HostResolver {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let text = read("/etc/resolv.conf").unwrap_or_default();
    let stub = text.lines().any(|line| line.trim() == "nameserver 127.0.0.53");
    let text = if stub { read("/run/systemd/resolve/resolv.conf").unwrap_or(text) } else { text };
    let relayed = std::fs::canonicalize("/etc/resolv.conf")
        .is_ok_and(|path| path.starts_with("/etc") || path.starts_with("/run"));
    HostResolver { text, relayed }
}
