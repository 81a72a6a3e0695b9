//! Address ranges for new networks: those that nothing uses yet.

use crate::sys::read::text_of;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where IPv4 ranges come from, first to last, as in podman.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 89, 0, 0);
const LAST: Ipv4Addr = Ipv4Addr::new(10, 255, 255, 0);
/// How many bits the addresses of a chosen IPv4 range have in common.
const PREFIX: u8 = 24;
/// The same of IPv6.
const PREFIX6: u8 = 64;
/// How often a range of IPv6 is drawn.
const DRAWS: u32 = 100;

/// The ranges of the host's own interfaces.
pub fn of_interfaces() -> Vec<IpNet> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let range = |interface: nix::ifaddrs::InterfaceAddress| {
        let (address, mask) = (interface.address?, interface.netmask?);
        let (address, mask) = match (address.as_sockaddr_in(), mask.as_sockaddr_in()) {
            (Some(address), Some(mask)) => (IpAddr::V4(address.ip()), IpAddr::V4(mask.ip())),
            _ => (IpAddr::V6(address.as_sockaddr_in6()?.ip()), IpAddr::V6(mask.as_sockaddr_in6()?.ip())),
        };
        // Every link has the same link-local range (RFC 4291).
        if matches!(address, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
            return None;
        }
        IpNet::with_netmask(address, mask).ok().map(|range| range.trunc())
    };
    all.filter_map(range).collect()
}

/// Where the host's routes lead, but for those to everywhere.
pub fn of_routes() -> Vec<IpNet> {
    // A kernel without a family lacks its file.
    let four = text_of("/proc/net/route").unwrap_or_default();
    let six = text_of("/proc/net/ipv6_route").unwrap_or_default();
    let routes = four.lines().filter_map(route).chain(six.lines().filter_map(route6));
    routes.filter(|range| range.prefix_len() > 0).collect()
}

/// A line of `/proc/net/route` (proc_pid_net(5)): numbers in hex, in the order of the machine.
fn route(line: &str) -> Option<IpNet> {
    let mut words = line.split_ascii_whitespace();
    let number = |word: &str| u32::from_str_radix(word, 16).ok().map(|n| Ipv4Addr::from(n.to_ne_bytes()));
    let (to, mask) = (number(words.nth(1)?)?, number(words.nth(5)?)?);
    Ipv4Net::with_netmask(to, mask).ok().map(IpNet::V4)
}

/// A line of `/proc/net/ipv6_route`: destination and its prefix in hex.
fn route6(line: &str) -> Option<IpNet> {
    let mut words = line.split_ascii_whitespace();
    let to = Ipv6Addr::from_bits(u128::from_str_radix(words.next()?, 16).ok()?);
    let prefix = u8::from_str_radix(words.next()?, 16).ok()?;
    let is_one_link = to.is_unicast_link_local() || to.is_multicast();
    if is_one_link { None } else { Ipv6Net::new(to, prefix).ok().map(IpNet::V6) }
}

/// Whether two ranges have an address in common.
pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// Whether a range is one that a network can have: none of its addresses means something else everywhere (RFC 6890).
pub fn is_for_networks(subnet: &IpNet) -> bool {
    // This host, loopback, multicast and what is reserved; loopback, IPv4 in another form, one link, multicast.
    const OTHERS: [&str; 7] =
        ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8"];
    !OTHERS.iter().filter_map(|text| text.parse().ok()).any(|other| overlap(subnet, &other))
}

/// The first IPv4 range that overlaps with none of these; `None` when there is none.
pub fn free(used: &[IpNet]) -> Option<IpNet> {
    let step = 1 << (32 - PREFIX);
    (FIRST.to_bits()..=LAST.to_bits())
        .step_by(step)
        .filter_map(|bits| Ipv4Net::new(Ipv4Addr::from_bits(bits), PREFIX).ok())
        .map(IpNet::V4)
        .find(|range| !used.iter().any(|other| overlap(range, other)))
}

/// A range of locally assigned IPv6 addresses (RFC 4193) that overlaps with none of these; `random` gives bits.
pub fn free6(used: &[IpNet], mut random: impl FnMut() -> u64) -> Option<IpNet> {
    (0..DRAWS).find_map(|_| {
        let global = u128::from(random() >> 8) << 64;
        let bits = 0xfd_u128 << 120 | global;
        let range = IpNet::V6(Ipv6Net::new(Ipv6Addr::from_bits(bits), PREFIX6).ok()?);
        (!used.iter().any(|other| overlap(&range, other))).then_some(range)
    })
}

/// First and last address of a range that a host may have.
pub fn hosts(range: &IpNet) -> (IpAddr, IpAddr) {
    let (first, last) = (bits(range.network()), bits(range.broadcast()));
    let four = matches!(range, IpNet::V4(_));
    match last - first {
        0 | 1 => (address(first, four), address(last, four)),
        _ => (address(first + 1, four), address(last - u128::from(four), four)),
    }
}

/// Whether an address of a range is one that a host may have.
pub fn is_for_hosts(range: &IpNet, candidate: IpAddr) -> bool {
    let (first, last) = hosts(range);
    (bits(first)..=bits(last)).contains(&bits(candidate))
}

/// An address as a number.
pub fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The address that a number is, of IPv4 or IPv6.
pub fn address(bits: u128, four: bool) -> IpAddr {
    if four { Ipv4Addr::from_bits(bits as u32).into() } else { Ipv6Addr::from_bits(bits).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_first_free_range_is_chosen() {
        let free = |used: &[&str]| free(&ranges(used)).map(|range| range.to_string());
        assert_eq!(free(&[]).unwrap(), "10.89.0.0/24");
        assert_eq!(free(&["10.89.0.0/24", "10.88.0.0/16"]).unwrap(), "10.89.1.0/24");
        // A single address, and a range that has many.
        assert_eq!(free(&["10.89.0.77/32", "10.89.0.0/23"]).unwrap(), "10.89.2.0/24");
        assert_eq!(free(&["10.89.0.0/16", "10.90.0.0/15", "fd00::/8"]).unwrap(), "10.92.0.0/24");
        assert_eq!(free(&["10.0.0.0/8"]), None);
    }

    #[test]
    fn ranges_of_ipv6_are_drawn_until_one_is_free() {
        let mut draws = [u64::MAX, 0x0123_4567_89ab_cdef].into_iter();
        let range = free6(&ranges(&["fdff:ffff:ffff:ffff::/64"]), || draws.next().unwrap()).unwrap();
        assert_eq!(range.to_string(), "fd01:2345:6789:abcd::/64");
        assert_eq!(free6(&ranges(&["fd00::/8"]), || 1), None);
    }

    #[test]
    fn routes_are_read_as_the_kernel_writes_them() {
        let line = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        if cfg!(target_endian = "little") {
            assert_eq!(route(line).unwrap().to_string(), "192.168.1.0/24");
        }
        assert_eq!(route("Iface\tDestination\tGateway"), None);
        let six = "fd010000000000000000000000000000 40 00000000000000000000000000000000 00";
        assert_eq!(route6(six).unwrap().to_string(), "fd01::/64");
        assert_eq!(route6("fe800000000000000000000000000000 40 0 0"), None);
    }

    #[test]
    fn the_gateway_is_the_first_host() {
        for (range, first) in
            [("10.1.0.0/24", "10.1.0.1"), ("10.1.0.4/31", "10.1.0.4"), ("fd01::/64", "fd01::1")]
        {
            assert_eq!(hosts(&range.parse().unwrap()).0.to_string(), first);
        }
    }
}
