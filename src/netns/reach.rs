//! How a container is reached from within its own network namespace, and as whom.

use crate::spec::bridge::Attached;
use crate::spec::network::SlirpOptions;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A container's addresses, for who forwards its published ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Its own.
    pub(super) address: Ipv4Addr,
    /// Who stands for the host.
    pub(super) gateway: Ipv4Addr,
    /// The same by IPv6, where it has that.
    pub(super) gateway6: Option<Ipv6Addr>,
    /// Whether services are to see the client's address.
    pub(super) keep_client: bool,
}

impl From<&SlirpOptions> for Reach {
    fn from(options: &SlirpOptions) -> Reach {
        Reach {
            address: options.address(),
            gateway: options.gateway(),
            gateway6: options.ipv6.then(|| options.gateway6()),
            keep_client: options.keep_client,
        }
    }
}

impl Reach {
    /// By the first network that has IPv4; `None` where none has.
    pub fn of(networks: &[&Attached]) -> Option<Reach> {
        networks.iter().find_map(|network| {
            let (address, has) = network.ip()?;
            let std::net::IpAddr::V4(gateway) = has.gateway else { return None };
            let gateway6 = network.ip6().and_then(|(_, has)| match has.gateway {
                std::net::IpAddr::V6(gateway) => Some(gateway),
                std::net::IpAddr::V4(_) => None,
            });
            Some(Reach { address, gateway, gateway6, keep_client: true })
        })
    }
}
