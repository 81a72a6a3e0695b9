//! Addresses as `connect` and `getsockname` have them in memory (ip(7), ipv6(7)).

use nix::libc;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Longest form that is read, in bytes: `struct sockaddr_in6`.
pub(super) const LONGEST: usize = 28;
const LENGTH: usize = 16;

/// What a `connect` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A connection to there.
    Connection(SocketAddr),
    /// The socket is to be unconnected again (`AF_UNSPEC`).
    Dissolution,
}

/// Reads what `connect` was given; `None` when it is nothing that a socket could be swapped for.
pub(super) fn read(bytes: &[u8]) -> Option<Wanted> {
    let family = i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let port = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    match family {
        libc::AF_UNSPEC => Some(Wanted::Dissolution),
        libc::AF_INET if bytes.len() >= LENGTH => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(Wanted::Connection((Ipv4Addr::from(ip), port(bytes)?).into()))
        }
        libc::AF_INET6 if bytes.len() >= LONGEST => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            // A flow or an interface means something on the network that it was asked for on.
            if bytes.get(4..8)? != [0; 4] || bytes.get(24..28)? != [0; 4] {
                return None;
            }
            Some(Wanted::Connection(SocketAddrV6::new(ip.into(), port(bytes)?, 0, 0).into()))
        }
        _ => None,
    }
}

/// The form that `getsockname` gives.
pub(super) fn write(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address {
        SocketAddr::V4(four) => {
            let family = (libc::AF_INET as u16).to_ne_bytes();
            [&family[..], &port, &four.ip().octets(), &[0; 8]].concat()
        }
        SocketAddr::V6(six) => {
            let family = (libc::AF_INET6 as u16).to_ne_bytes();
            [&family[..], &port, &[0; 4], &six.ip().octets(), &[0; 4]].concat()
        }
    }
}

/// The address in the form of the other one's family: sockets of IPv6 know IPv4 by mapped addresses (RFC 4291).
pub(super) fn in_family_of(ip: IpAddr, other: SocketAddr) -> IpAddr {
    match (ip, other) {
        (IpAddr::V4(four), SocketAddr::V6(_)) => four.to_ipv6_mapped().into(),
        (ip, _) => ip,
    }
}

/// Whether an address can be somebody's outside this host and the networks at hand, by its kind alone.
pub(super) fn is_outside(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(four) => {
            let kind = four.octets()[0];
            !(four.is_loopback() || four.is_link_local() || kind == 0 || kind >= 224)
        }
        IpAddr::V6(six) => {
            // What embeds an address of IPv4 in the deprecated way is nobody's.
            let compatible = six.segments()[..6] == [0; 6];
            !(compatible || is_limited(six))
        }
    }
}

/// Loopback, unspecified, link-local and multicast.
fn is_limited(six: Ipv6Addr) -> bool {
    six.is_loopback() || six.is_unspecified() || six.is_unicast_link_local() || six.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_both_ways() {
        for text in ["192.0.2.7:80", "[2001:db8::7]:443", "[::ffff:127.0.0.1]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(read(&write(address)), Some(Wanted::Connection(address)));
        }
        assert_eq!(read(&[0, 0]), Some(Wanted::Dissolution));
        assert_eq!(read(&[0]), None);
        let four = write("192.0.2.7:80".parse().unwrap());
        assert_eq!(read(&four[..15]), None, "the kernel refuses it");
        let mut six = write("[2001:db8::7]:443".parse().unwrap());
        six[24] = 1;
        assert_eq!(read(&six), None, "an interface is named");
    }

    #[test]
    fn what_is_not_outside() {
        let inside = [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0.0.0.0",
            "fe80::1",
            "ff02::1",
        ];
        for text in inside {
            assert!(!is_outside(text.parse().unwrap()), "{text}");
        }
        for text in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1", "::ffff:192.0.2.1"] {
            assert!(is_outside(text.parse().unwrap()), "{text}");
        }
    }
}
