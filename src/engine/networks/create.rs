//! Making a network: what is asked for is checked, and what is not said is chosen.

use crate::error::{Error, Kind, Result, phrases};
use crate::netns::subnets;
use crate::spec::bridge::{
    BETWEEN_CONTAINERS, INTERFACE_MAX, NETWORK_VERSION, NetworkRoute, Subnet, UserNetwork, first_of_range,
};
use crate::storage::Store;
use crate::storage::networks::Networks;
use crate::sys::random;
use crate::text::boolean;
use chrono::Utc;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a network is to be like.
#[derive(Debug, Clone, Default)]
pub struct NetworkRequest {
    /// Its name; one like `podman1` if nothing is said.
    pub name: Option<String>,
    /// What connects it.
    pub driver: String,
    /// Its ranges, as written.
    pub subnets: Vec<String>,
    /// Their gateways, in the same order.
    pub gateways: Vec<IpAddr>,
    /// The parts of them that containers get addresses of, in the same order, as written.
    pub ranges: Vec<String>,
    /// With IPv6.
    pub ipv6: bool,
    /// Without a way out.
    pub internal: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Who is asked for names that are no container's.
    pub dns: Vec<IpAddr>,
    /// Names of containers are not answered.
    pub disable_dns: bool,
    /// The bridge's name.
    pub interface: Option<String>,
    /// Further routes.
    pub routes: Vec<NetworkRoute>,
}

/// Words of `--network` that are no networks.
const MODES: [&str; 10] =
    ["bridge", "host", "none", "container", "private", "slirp4netns", "pasta", "default", "ns", "pod"];
/// Docker's option for what `--interface-name` gives.
const INTERFACE_NAME: &str = "com.docker.network.bridge.name";
/// Longest packet that the kernel's pairs of interfaces take, and the shortest that IPv4 does, in bytes.
const MTU: std::ops::RangeInclusive<u32> = 68..=65535;
/// The shortest that IPv6 does (RFC 8200).
const MTU6: u32 = 1280;

/// Makes a network.
///
/// # Errors
/// `Usage` for what cannot be had, before anything changes; `Conflict` when the name is taken.
pub fn create(store: &Store, request: NetworkRequest) -> Result<UserNetwork> {
    check(&request)?;
    let networks = store.networks();
    let _alone = networks.choose_alone()?;
    let others = networks.list()?;
    if let Some(name) = &request.name
        && networks.get(name)?.is_some()
    {
        return Err(phrases::network_exists(name));
    }
    let unused = unused_name(&others);
    let interface = request.interface.clone().or_else(|| request.options.get(INTERFACE_NAME).cloned());
    let subnets = ranges(&request, &others)?;
    let ipv6 = request.ipv6 || subnets.iter().any(|subnet| subnet.gateway.is_ipv6());
    let network = UserNetwork {
        version: NETWORK_VERSION,
        name: request.name.unwrap_or_else(|| unused.clone()),
        id: Networks::new_id()?,
        created: Utc::now(),
        subnets,
        ipv6,
        internal: request.internal,
        dns: !request.disable_dns,
        dns_servers: request.dns,
        interface: interface.unwrap_or(unused),
        routes: request.routes,
        labels: request.labels,
        options: request.options,
    };
    check_routes(&network)?;
    networks.create(&network)?;
    Ok(network)
}

/// Refuses what cannot be had whatever else there is.
fn check(request: &NetworkRequest) -> Result<()> {
    match request.driver.as_str() {
        "bridge" => {}
        driver @ ("macvlan" | "ipvlan") => {
            return Err(wrong(format!("network driver {driver:?} is not supported: only root can give containers an interface on the host's own link"))
                .hint("Use a bridge and publish ports: coracle network create NAME && coracle run --network NAME -p 8080:80 ..."));
        }
        other => {
            return Err(wrong(format!("unsupported driver {other}: invalid argument"))
                .hint("Leave it out; the driver is bridge."));
        }
    }
    if let Some(name) = &request.name {
        if MODES.contains(&name.as_str()) {
            return Err(wrong(format!(
                "cannot create network with name {name:?} because it conflicts with a valid network mode"
            ))
            .hint("Choose another name."));
        }
        if name.parse::<crate::container::Name>().is_err() {
            return Err(wrong(format!(
                "network name {name} invalid: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument"
            ))
            .hint("Choose another name."));
        }
    }
    if let Some(name) = request.interface.as_ref().or(request.options.get(INTERFACE_NAME)) {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let is_name = (1..=INTERFACE_MAX).contains(&name.len()) && name.bytes().all(fits);
        if !is_name || matches!(name.as_str(), "." | ".." | "lo" | "tap0" | "all" | "default") {
            return Err(wrong(format!("interface name {name} invalid: invalid argument"))
                .hint("Choose a name of 1 to 15 letters, digits, '_', '.' and '-'."));
        }
    }
    if request.disable_dns && !request.dns.is_empty() {
        return Err(wrong(
            "cannot set NetworkDNSServers if DNS is not enabled for the network: invalid argument",
        )
        .hint("Leave out --disable-dns or --dns."));
    }
    options(request)
}

fn options(request: &NetworkRequest) -> Result<()> {
    let hint = "Options of the driver bridge are mtu (or com.docker.network.driver.mtu), isolate, no_default_route, com.docker.network.bridge.enable_icc and com.docker.network.bridge.name, for example -o mtu=1500.";
    for (key, value) in &request.options {
        let is_right = match key.as_str() {
            "mtu" | "com.docker.network.driver.mtu" => {
                let least = if request.ipv6 { MTU6 } else { *MTU.start() };
                value.parse::<u32>().is_ok_and(|mtu| MTU.contains(&mtu) && mtu >= least)
            }
            "isolate" => value == "strict" || boolean(value).is_some(),
            "no_default_route" | BETWEEN_CONTAINERS => boolean(value).is_some(),
            // Looked at with --interface-name.
            INTERFACE_NAME => true,
            _ => return Err(wrong(format!("unsupported bridge network option {key}")).hint(hint)),
        };
        if !is_right {
            return Err(wrong(format!("invalid value {value:?} of bridge network option {key}")).hint(hint));
        }
    }
    Ok(())
}

/// The network's ranges: those asked for, and one of each family that is to be there.
fn ranges(request: &NetworkRequest, others: &[UserNetwork]) -> Result<Vec<Subnet>> {
    let too_many = |what: &str| {
        wrong(format!("cannot set more {what} than subnets"))
            .hint("Give one for each --subnet, in the same order.")
    };
    match request.subnets.len() {
        0 if !request.gateways.is_empty() || !request.ranges.is_empty() => {
            return Err(wrong("cannot set gateway or range without subnet")
                .hint("Give the range too, for example --subnet 10.92.0.0/24 --gateway 10.92.0.1."));
        }
        count if request.gateways.len() > count => return Err(too_many("gateways")),
        count if request.ranges.len() > count => return Err(too_many("ranges")),
        _ => {}
    }
    let taken: Vec<IpNet> =
        others.iter().flat_map(|other| &other.subnets).map(|subnet| subnet.subnet).collect();
    let mut used: Vec<IpNet> = taken.iter().copied().chain(subnets::of_interfaces()).collect();
    let mut all = Vec::new();
    for (at, text) in request.subnets.iter().enumerate() {
        let subnet = asked(text, request.gateways.get(at).copied(), request.ranges.get(at))?;
        if used.iter().any(|other| subnets::overlap(other, &subnet.subnet)) {
            return Err(phrases::subnet_used(&subnet.subnet.to_string())
                .hint("See what is in use: ip route; coracle network inspect NAME. Without --subnet a free range is chosen."));
        }
        used.push(subnet.subnet);
        all.push(subnet);
    }
    used.extend(subnets::of_routes());
    let full = || {
        wrong("could not find free subnet from subnet pools")
            .hint("Choose one with --subnet, or remove networks: coracle network prune")
    };
    let has = |all: &[Subnet], four: bool| all.iter().any(|subnet| subnet.gateway.is_ipv4() == four);
    if !has(&all, true) && (all.is_empty() || request.ipv6) {
        all.insert(0, chosen(subnets::free(&used).ok_or_else(full)?));
    }
    if request.ipv6 && !has(&all, false) {
        let random = || {
            let mut bytes = [0u8; 8];
            // Without it the range is one that others may have, too: it is looked at whether it is free.
            let _ = random::fill(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        all.push(chosen(subnets::free6(&used, random).ok_or_else(full)?));
    }
    Ok(all)
}

fn chosen(subnet: IpNet) -> Subnet {
    Subnet { subnet, gateway: subnets::hosts(&subnet).0, range: None }
}

/// A range as it was asked for.
fn asked(text: &str, gateway: Option<IpAddr>, range: Option<&String>) -> Result<Subnet> {
    let subnet = cidr(text)?.trunc();
    let most = if matches!(subnet, IpNet::V4(_)) { 30 } else { 126 };
    if subnet.prefix_len() > most || subnet.prefix_len() == 0 {
        return Err(wrong(format!(
            "subnet {subnet} has no room for a gateway and a container, or is everything"
        ))
        .hint(format!("Give a range with a prefix of 1 to {most}, for example --subnet 10.92.0.0/24.")));
    }
    if !subnets::is_for_networks(&subnet) {
        return Err(wrong(format!("subnet {subnet} has addresses that no host can have"))
            .hint("Choose a private range, for example --subnet 10.92.0.0/24, or --subnet fd00:92::/64."));
    }
    let gateway = match gateway {
        Some(gateway) if !subnet.contains(&gateway) => {
            return Err(wrong(format!("gateway {gateway} not in subnet {subnet}"))
                .hint(format!("Choose one of its addresses, for example {}.", subnets::hosts(&subnet).0)));
        }
        Some(gateway) if !subnets::is_for_hosts(&subnet, gateway) => {
            return Err(wrong(format!("gateway {gateway} is not an address for hosts of subnet {subnet}"))
                .hint(format!("Choose another one, for example {}.", subnets::hosts(&subnet).0)));
        }
        Some(gateway) => gateway,
        None => subnets::hosts(&subnet).0,
    };
    let range = range.map(|text| lease_range(text, &subnet)).transpose()?;
    Ok(Subnet { subnet, gateway, range })
}

/// `--ip-range`: a range in CIDR form, or `FIRST-LAST`.
fn lease_range(text: &str, subnet: &IpNet) -> Result<(IpAddr, IpAddr)> {
    let ends =
        |(first, last): (&str, &str)| Some((first.parse::<IpAddr>().ok()?, last.parse::<IpAddr>().ok()?));
    let (first, last) = match text.split_once('-').map(ends) {
        Some(Some(ends)) => ends,
        Some(None) => {
            return Err(wrong(format!("invalid range {text:?}"))
                .hint("Write two addresses or a range, for example --ip-range 10.92.0.128/25."));
        }
        None => {
            let range = cidr(text)?;
            (first_of_range(&range), range.broadcast())
        }
    };
    for (which, address) in [("start", first), ("end", last)] {
        if !subnet.contains(&address) {
            return Err(wrong(format!("lease range {which} ip {address} not in subnet {subnet}"))
                .hint("Choose a part of the subnet, for example its upper half."));
        }
    }
    if first > last {
        return Err(wrong(format!("invalid range {text:?}: the first address is behind the last"))
            .hint("Write the lower address first."));
    }
    Ok((first, last))
}

fn cidr(text: &str) -> Result<IpNet> {
    text.parse().map_err(|_| {
        wrong(format!("invalid CIDR address: {text}"))
            .hint("Write an address and the length of the prefix, for example 10.92.0.0/24.")
    })
}

/// Refuses routes by gateways that containers do not reach.
fn check_routes(network: &UserNetwork) -> Result<()> {
    for NetworkRoute { destination, gateway, .. } in &network.routes {
        if !network.subnets.iter().any(|subnet| subnet.subnet.contains(gateway)) {
            return Err(wrong(format!(
                "route {destination}: gateway {gateway} is in none of the network's subnets"
            ))
            .hint("Name an address of the network, and choose its range with --subnet."));
        }
        if destination.network().is_ipv4() != gateway.is_ipv4() {
            return Err(wrong(format!("route {destination}: gateway {gateway} is of the other family"))
                .hint("Give IPv4 with IPv4 and IPv6 with IPv6."));
        }
    }
    Ok(())
}

/// podman1, podman2 and so on: the first that is neither a network's name nor a bridge's.
fn unused_name(others: &[UserNetwork]) -> String {
    let mut number = 1u32;
    loop {
        let name = format!("podman{number}");
        if !others.iter().any(|other| other.name == name || other.interface == name) {
            return name;
        }
        number += 1;
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn subnet(text: &str, gateway: Option<&str>, range: Option<&str>) -> Result<Subnet> {
        asked(text, gateway.map(|g| g.parse().unwrap()), range.map(str::to_owned).as_ref())
    }

    #[test]
    fn a_range_has_its_gateway_and_the_addresses_that_are_given() {
        let one = subnet("10.92.0.77/24", None, Some("10.92.0.128/25")).unwrap();
        assert_eq!(
            (one.subnet.to_string(), one.gateway.to_string()),
            ("10.92.0.0/24".into(), "10.92.0.1".into())
        );
        assert_eq!(one.range.unwrap().0.to_string(), "10.92.0.129");
        let single = subnet("10.92.0.0/24", None, Some("10.92.0.128/32")).unwrap().range.unwrap();
        assert!(single.0 == single.1 && single.0.to_string() == "10.92.0.128");
        let six = subnet("fd01::/64", Some("fd01::9"), Some("fd01::10-fd01::20")).unwrap();
        assert_eq!(
            (six.gateway.to_string(), six.range.unwrap().1.to_string()),
            ("fd01::9".into(), "fd01::20".into())
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_in_podmans_words() {
        for (text, gateway, range, want) in [
            ("10.92.0.0/33", None, None, "invalid CIDR address: 10.92.0.0/33"),
            ("10.92.0.0/24", Some("10.93.0.1"), None, "gateway 10.93.0.1 not in subnet 10.92.0.0/24"),
            (
                "10.92.0.0/24",
                None,
                Some("10.93.0.0/25"),
                "lease range start ip 10.93.0.1 not in subnet 10.92.0.0/24",
            ),
            (
                "10.92.0.0/25",
                None,
                Some("10.92.0.0/24"),
                "lease range end ip 10.92.0.255 not in subnet 10.92.0.0/25",
            ),
            (
                "10.92.0.0/24",
                None,
                Some("10.92.0.9-10.92.0.2"),
                "invalid range \"10.92.0.9-10.92.0.2\": the first address is behind the last",
            ),
            (
                "10.92.0.0/31",
                None,
                None,
                "subnet 10.92.0.0/31 has no room for a gateway and a container, or is everything",
            ),
            ("224.0.0.0/8", None, None, "subnet 224.0.0.0/8 has addresses that no host can have"),
            ("126.0.0.0/7", None, None, "subnet 126.0.0.0/7 has addresses that no host can have"),
            ("fe80::/64", None, None, "subnet fe80::/64 has addresses that no host can have"),
            (
                "::ffff:10.9.0.0/112",
                None,
                None,
                "subnet ::ffff:10.9.0.0/112 has addresses that no host can have",
            ),
        ] {
            assert_eq!(subnet(text, gateway, range).unwrap_err().message(), want);
        }
    }

    #[test]
    fn ranges_do_not_overlap_with_other_networks() {
        let others = [Networks::built_in()];
        let request = |subnets: &[&str], ipv6| NetworkRequest {
            subnets: subnets.iter().map(|text| (*text).to_owned()).collect(),
            ipv6,
            ..NetworkRequest::default()
        };
        let refused = ranges(&request(&["10.88.3.0/24"], false), &others).unwrap_err();
        assert_eq!(refused.message(), "subnet 10.88.3.0/24 is already used on the host or by another config");
        let both = ranges(&request(&["203.0.113.0/24"], true), &others).unwrap();
        assert!(both[0].gateway == IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)) && both[1].gateway.is_ipv6());
        // One that has only IPv6 is left so.
        assert_eq!(ranges(&request(&["fd12::/64"], false), &others).unwrap().len(), 1);
        assert!(ranges(&request(&["203.0.113.0/24", "203.0.113.0/25"], false), &others).is_err());
    }

    #[test]
    fn names_are_counted() {
        assert_eq!(unused_name(&[Networks::built_in()]), "podman1");
        let taken = UserNetwork { name: "podman1".to_owned(), ..Networks::built_in() };
        assert_eq!(unused_name(&[taken]), "podman2");
    }
}
