//! How a container is reached from within its own network namespace, and as whom.

use crate::spec::bridge::Attached;
use crate::spec::network::SlirpOptions;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A container's addresses, for who forwards its published ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// By IPv4, where it has that.
    pub(super) four: Option<Four>,
    /// Who stands for the host by IPv6, where it has that.
    pub(super) gateway6: Option<Ipv6Addr>,
    /// Whether services are to see the client's address.
    pub(super) keep_client: bool,
}

/// How it is reached by IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Four {
    /// The container's address.
    pub(super) address: Ipv4Addr,
    /// Who stands for the host.
    pub(super) gateway: Ipv4Addr,
}

impl From<&SlirpOptions> for Reach {
    fn from(options: &SlirpOptions) -> Reach {
        Reach {
            four: Some(Four { address: options.address(), gateway: options.gateway() }),
            gateway6: options.ipv6.then(|| options.gateway6()),
            keep_client: options.keep_client,
        }
    }
}

impl Reach {
    /// By the first network that has IPv4, else by the first that has IPv6; `None` where none has an address.
    pub fn of(networks: &[&Attached]) -> Option<Reach> {
        let four = |network: &Attached| {
            let (address, has) = network.ip()?;
            match has.gateway {
                IpAddr::V4(gateway) => Some(Four { address, gateway }),
                IpAddr::V6(_) => None,
            }
        };
        let six = |network: &Attached| match network.ip6()?.1.gateway {
            IpAddr::V6(gateway) => Some(gateway),
            IpAddr::V4(_) => None,
        };
        let network = networks
            .iter()
            .find(|network| four(network).is_some())
            .or_else(|| networks.iter().find(|network| six(network).is_some()))?;
        Some(Reach { four: four(network), gateway6: six(network), keep_client: true })
    }
}
