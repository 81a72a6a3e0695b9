//! The container's network: what is planned, and who carries it out.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A container's network, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetPlan {
    /// How it is connected.
    pub mode: NetMode,
    /// Published ports, ranges expanded.
    pub ports: Vec<PortPublish>,
    /// Name resolution.
    pub dns: DnsPlan,
    /// Extra `/etc/hosts` entries: name and address.
    pub hosts: Vec<HostEntry>,
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
}

/// `--network slirp4netns:...`, as podman documents it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlirpOptions {
    /// MTU in bytes, 68 to 65521.
    pub mtu: u32,
    /// IPv4 network of the container, 10.0.2.0/24 by default.
    pub cidr: String,
    /// IPv6 too.
    pub ipv6: bool,
    /// 10.0.2.2 reaches the host's loopback.
    pub allow_host_loopback: bool,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortPublish {
    /// Host address to listen on; `None` is every address, IPv4 and IPv6.
    pub host_ip: Option<IpAddr>,
    /// Host port; 0 asks the kernel for a free one.
    pub host_port: u16,
    /// Port inside.
    pub container_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
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

/// Name resolution inside; empty lists mean the host's, with loopback resolvers replaced by slirp's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DnsPlan {
    /// `nameserver` addresses.
    pub servers: Vec<IpAddr>,
    /// `search` domains.
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
