//! Networks that users make, and a container's place on them.

use super::mac::MacAddress;
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The form of a network's record.
pub const NETWORK_VERSION: u32 = 1;
/// The name of the network that every account has.
pub const BUILT_IN: &str = "podman";

/// What docker calls the built-in network.
pub const DOCKERS_BUILT_IN: &str = "bridge";

/// The first address that a range such as 10.92.0.128/25 gives: the second one in it, as in podman, unless it is the only one.
pub fn first_of_range(range: &IpNet) -> IpAddr {
    match range.network() {
        only if range.prefix_len() == range.max_prefix_len() => only,
        IpAddr::V4(network) => Ipv4Addr::from_bits(network.to_bits() | 1).into(),
        IpAddr::V6(network) => Ipv6Addr::from_bits(network.to_bits() | 1).into(),
    }
}

/// What docker calls a network.
pub fn dockers_name(network: &str) -> &str {
    if network == BUILT_IN { DOCKERS_BUILT_IN } else { network }
}
/// Longest name of an interface, in bytes (netdevice(7)).
pub const INTERFACE_MAX: usize = 15;
/// Docker's option for whether a network's containers reach each other.
pub const BETWEEN_CONTAINERS: &str = "com.docker.network.bridge.enable_icc";
/// MTU in bytes, if nothing else is said: nothing here is a wire.
pub const MTU: u32 = 65520;

/// A network of the user's: a bridge in a network namespace of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserNetwork {
    /// The form's version, [`NETWORK_VERSION`].
    pub version: u32,
    /// Its name.
    pub name: String,
    /// 64 hexadecimal digits.
    pub id: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// Its address ranges, at least one, at most one IPv4 and one IPv6 first.
    pub subnets: Vec<Subnet>,
    /// Whether it was made with IPv6.
    pub ipv6: bool,
    /// Nothing outside is reached.
    pub internal: bool,
    /// Whether names of containers are answered.
    pub dns: bool,
    /// Who is asked for other names, if not whom the host asks.
    pub dns_servers: Vec<IpAddr>,
    /// The bridge's name in the network's namespace; at most [`INTERFACE_MAX`] bytes.
    pub interface: String,
    /// Further routes of its containers.
    pub routes: Vec<NetworkRoute>,
    /// What the user has labelled it with.
    pub labels: BTreeMap<String, String>,
    /// `-o` as it was given.
    pub options: BTreeMap<String, String>,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// All of them.
    pub subnet: IpNet,
    /// The bridge's own.
    pub gateway: IpAddr,
    /// First and last that containers get without asking; all but the first and last where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(IpAddr, IpAddr)>,
}

/// A further route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRoute {
    /// Where to.
    pub destination: IpNet,
    /// By way of.
    pub gateway: IpAddr,
    /// How dear it is; the kernel's own value if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

impl UserNetwork {
    /// MTU in bytes (`-o mtu=`).
    pub fn mtu(&self) -> u32 {
        let given = self.options.get("mtu").or_else(|| self.options.get("com.docker.network.driver.mtu"));
        given.and_then(|mtu| mtu.parse().ok()).unwrap_or(MTU)
    }

    /// Whether containers reach by it what is nowhere else (`-o no_default_route`).
    pub fn leads_out(&self) -> bool {
        !self.internal && self.options.get("no_default_route").is_none_or(|value| !is_true(value))
    }

    /// Whether its containers reach only the outside, and not each other (docker's
    /// `-o com.docker.network.bridge.enable_icc=false`). Podman's `isolate` keeps networks from each other, as they always are.
    pub fn is_isolated(&self) -> bool {
        self.options.get(BETWEEN_CONTAINERS).is_some_and(|value| !is_true(value))
    }

    /// Whether it has addresses of IPv6.
    pub fn has_ipv6(&self) -> bool {
        self.subnets.iter().any(|subnet| subnet.gateway.is_ipv6())
    }
}

/// The words of options for yes.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// A network that a container wants to be on, and what it wants there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// Its IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip6: Option<Ipv6Addr>,
    /// Its hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// Names besides its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The interface's name inside; `eth0` and so on if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Connections to the outside are made in the host's network; as the configuration says when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerate: Option<bool>,
}

impl Attachment {
    /// The interface's name inside, of the one at this place in the container's list.
    pub fn interface_at(&self, place: usize) -> String {
        self.interface.clone().unwrap_or_else(|| format!("eth{place}"))
    }
}

/// A running container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The network's name.
    pub network: String,
    /// The network's id.
    pub id: String,
    /// The interface inside.
    pub interface: String,
    /// Its hardware address.
    pub mac: MacAddress,
    /// Its addresses, in the order of the network's ranges.
    pub addresses: Vec<AttachedAddress>,
    /// Every name under which others find it there.
    pub names: Vec<String>,
    /// Who answers for names.
    pub servers: Vec<IpAddr>,
    /// Whether the outside is not reached by it.
    pub internal: bool,
    /// Whether names of containers are answered.
    pub dns: bool,
}

/// An address on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedAddress {
    /// The address.
    pub address: IpAddr,
    /// How many bits the network's addresses have in common.
    pub prefix: u8,
    /// The bridge's own.
    pub gateway: IpAddr,
}

impl Attached {
    /// The first address of IPv4.
    pub fn ip(&self) -> Option<(Ipv4Addr, AttachedAddress)> {
        self.addresses.iter().find_map(|all| match all.address {
            IpAddr::V4(ip) => Some((ip, *all)),
            IpAddr::V6(_) => None,
        })
    }

    /// The first address of IPv6.
    pub fn ip6(&self) -> Option<(Ipv6Addr, AttachedAddress)> {
        self.addresses.iter().find_map(|all| match all.address {
            IpAddr::V6(ip) => Some((ip, *all)),
            IpAddr::V4(_) => None,
        })
    }
}
