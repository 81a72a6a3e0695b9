//! A running container's network interface, as the kernel tells outside of it.
//!
//! Theory of operation. The hardware address is chosen by the kernel when slirp4netns makes the interface. Nobody
//! outside the network namespace is told; but the interface's link-local address contains it (RFC 4291, appendix A),
//! and `/proc/PID/net/if_inet6` lists addresses (proc_pid_net(5)).

use crate::sys::read::text_of;
use std::net::Ipv6Addr;

/// The interface that slirp4netns makes.
const INTERFACE: &str = "tap0";

/// What is known about the interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its hardware address, such as `02:42:ac:11:00:02`.
    pub mac: Option<String>,
    /// Its global IPv6 address, and the length of the prefix.
    pub global: Option<(Ipv6Addr, u8)>,
}

/// The interface of the container with this first process; `None` if it cannot be seen.
pub fn of(pid: i32) -> Option<Link> {
    Some(read(&text_of(format!("/proc/{pid}/net/if_inet6")).ok()?))
}

/// The lines of `if_inet6`: address, number, length of the prefix, scope, flags and name, in hex.
fn read(text: &str) -> Link {
    let mut link = Link::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [address, _, prefix, scope, _, INTERFACE] = words[..] else { continue };
        let Ok(bits) = u128::from_str_radix(address, 16) else { continue };
        let address = Ipv6Addr::from_bits(bits);
        match scope {
            "20" => link.mac = mac(address),
            "00" => link.global = u8::from_str_radix(prefix, 16).ok().map(|prefix| (address, prefix)),
            _ => {}
        }
    }
    link
}

/// The hardware address that a link-local address was made from.
fn mac(address: Ipv6Addr) -> Option<String> {
    let [.., a, b, c, 0xff, 0xfe, d, e, f] = address.octets() else { return None };
    Some(format!("{:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}", a ^ 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_lists_them() {
        let text = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fe800000000000009c4f1afffe23d2e6 02 40 20 80     tap0\n\
                    fd00000000000000000000000000002a 02 40 00 80     tap0\n\
                    not a line\n";
        let link = read(text);
        assert_eq!(link.mac.as_deref(), Some("9e:4f:1a:23:d2:e6"));
        assert_eq!(link.global, Some(("fd00::2a".parse().unwrap(), 64)));
        assert_eq!(read("fe80000000000000000000000000beef 02 40 20 80 tap0\n"), Link::default());
    }
}
