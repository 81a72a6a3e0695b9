//! The ranges between a network's bridge and slirp4netns.

use crate::netns::subnets::overlap;
use crate::spec::bridge::UserNetwork;
use crate::spec::network::Cidr;
use ipnet::IpNet;
use std::net::Ipv6Addr;

/// Ranges for slirp4netns; the first that is not the network's is taken.
const RANGES: [&str; 3] = ["10.0.2.0/24", "192.168.231.0/24", "172.31.231.0/24"];
/// The bridge's address in the only IPv6 range that slirp4netns has (slirp4netns(1)).
pub(super) const OWN6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

/// The range of IPv4.
pub(super) fn range(network: &UserNetwork) -> Cidr {
    let clashes = |text: &str| {
        let range: Result<IpNet, _> = text.parse();
        range.is_ok_and(|range| network.subnets.iter().any(|s| overlap(&s.subnet, &range)))
    };
    let free = RANGES.iter().find(|text| !clashes(text)).unwrap_or(&RANGES[0]);
    free.parse().unwrap_or_default()
}

/// Every range that there can be between some network and slirp4netns.
pub(in crate::netns) fn between() -> Vec<IpNet> {
    let own6 = IpNet::new(OWN6.into(), 64).map(|range| range.trunc());
    RANGES.iter().filter_map(|text| text.parse().ok()).chain(own6).collect()
}

/// Every range in which addresses are somebody's: the network's, and those to slirp4netns.
pub(super) fn all(network: &UserNetwork) -> Vec<IpNet> {
    let mut all: Vec<IpNet> = network.subnets.iter().map(|subnet| subnet.subnet).collect();
    if !network.internal {
        all.extend(range(network).to_string().parse::<IpNet>());
        all.extend(IpNet::new(OWN6.into(), 64).map(|range| range.trunc()));
    }
    all
}
