//! A socket in another one's place: with the same options, in another network.

use super::way::{Exit, Map, tcp};
use crate::sys::read::text_of;
use crate::sys::{random, sockets};
use nix::errno::Errno;
use nix::libc::{self, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET};
use nix::sys::socket::{AddressFamily, SockaddrStorage, bind};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Options that a program may have set before it connects (socket(7), tcp(7), ip(7), ipv6(7)). Those that need rights
/// over the network are among them: where they are set, there is no twin.
const OPTIONS: &[(i32, i32)] = &[
    (SOL_SOCKET, libc::SO_REUSEADDR),
    (SOL_SOCKET, libc::SO_DONTROUTE),
    (SOL_SOCKET, libc::SO_KEEPALIVE),
    (SOL_SOCKET, libc::SO_OOBINLINE),
    (SOL_SOCKET, libc::SO_PRIORITY),
    (SOL_SOCKET, libc::SO_LINGER),
    (SOL_SOCKET, libc::SO_RCVLOWAT),
    (SOL_SOCKET, libc::SO_RCVTIMEO),
    (SOL_SOCKET, libc::SO_SNDTIMEO),
    (SOL_SOCKET, libc::SO_TIMESTAMP),
    (SOL_SOCKET, libc::SO_TIMESTAMPNS),
    (SOL_SOCKET, libc::SO_MARK),
    (SOL_SOCKET, libc::SO_BUSY_POLL),
    (SOL_SOCKET, libc::SO_ZEROCOPY),
    (SOL_SOCKET, libc::SO_MAX_PACING_RATE),
    (IPPROTO_TCP, libc::TCP_NODELAY),
    (IPPROTO_TCP, libc::TCP_MAXSEG),
    (IPPROTO_TCP, libc::TCP_CORK),
    (IPPROTO_TCP, libc::TCP_KEEPIDLE),
    (IPPROTO_TCP, libc::TCP_KEEPINTVL),
    (IPPROTO_TCP, libc::TCP_KEEPCNT),
    (IPPROTO_TCP, libc::TCP_SYNCNT),
    (IPPROTO_TCP, libc::TCP_LINGER2),
    (IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
    (IPPROTO_TCP, libc::TCP_WINDOW_CLAMP),
    (IPPROTO_TCP, libc::TCP_QUICKACK),
    (IPPROTO_TCP, libc::TCP_CONGESTION),
    (IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
    (IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT),
    (IPPROTO_TCP, libc::TCP_INQ),
    (IPPROTO_IP, libc::IP_TOS),
    (IPPROTO_IP, libc::IP_TTL),
    (IPPROTO_IP, libc::IP_MTU_DISCOVER),
    (IPPROTO_IP, libc::IP_RECVERR),
    (IPPROTO_IP, libc::IP_MINTTL),
    (IPPROTO_IP, libc::IP_TRANSPARENT),
    (IPPROTO_IPV6, libc::IPV6_V6ONLY),
    (IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
    (IPPROTO_IPV6, libc::IPV6_TCLASS),
    (IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
    (IPPROTO_IPV6, libc::IPV6_RECVERR),
    (IPPROTO_IPV6, libc::IPV6_TRANSPARENT),
];
/// Options that mean another way of connecting, or hold the socket to one network or port.
const HINDRANCES: &[(i32, i32)] = &[
    (SOL_SOCKET, libc::SO_BINDTOIFINDEX),
    (SOL_SOCKET, libc::SO_REUSEPORT),
    (IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT),
    (IPPROTO_TCP, libc::TCP_REPAIR),
    (IPPROTO_TCP, libc::TCP_ULP),
    (IPPROTO_IP, libc::IP_OPTIONS),
];
/// Buffer sizes, and the bit of `SO_BUF_LOCK` that says that the program has chosen one.
const BUFFERS: [(i32, i32); 2] = [(libc::SO_SNDBUF, 1), (libc::SO_RCVBUF, 2)];
/// Options that show what the connection has come to where the program has chosen nothing.
const OF_CONNECTION: &[(i32, i32)] =
    &[(IPPROTO_TCP, libc::TCP_MAXSEG), (IPPROTO_TCP, libc::TCP_WINDOW_CLAMP)];
/// How often a port that is in use is followed by another one.
const PORTS_TRIED: u32 = 16;
/// The ports for connections where the kernel does not say (ip(7), `ip_local_port_range`).
const PORTS: RangeInclusive<u16> = 32768..=60999;

/// A socket of the host's for a connection by this exit, with the options of `model`; `None` where it cannot have them.
///
/// It is held to the exit's interface, address and a port for good: whoever has it and has no rights over the host's
/// network cannot change that (socket(7), `SO_BINDTODEVICE`).
pub(super) fn of_host(model: &OwnedFd, family: AddressFamily, exit: Exit, ports: &Ports) -> Option<OwnedFd> {
    let model = model.as_fd();
    let is_hindered = HINDRANCES.iter().any(|(level, name)| is_set(model, *level, *name));
    if is_hindered || sockets::has_filter(model) != Ok(false) {
        return None;
    }
    let twin = tcp(family).ok()?;
    copy_options(model, twin.as_fd(), &[])?;
    let device = exit.device.cast_signed().to_ne_bytes();
    sockets::set_option(twin.as_fd(), SOL_SOCKET, libc::SO_BINDTOIFINDEX, &device).ok()?;
    take_port(&twin, family, exit.source, ports).ok()?;
    Some(twin)
}

/// A socket of the container's own network with the options of `model`, which was one of the host's.
pub(super) fn of_container(model: &OwnedFd, family: AddressFamily, map: &Map) -> Option<OwnedFd> {
    let twin = map.socket_inside(family).ok()?;
    copy_options(model.as_fd(), twin.as_fd(), OF_CONNECTION)?;
    Some(twin)
}

fn is_set(socket: BorrowedFd<'_>, level: i32, name: i32) -> bool {
    sockets::option(socket, level, name).is_ok_and(|value| value.iter().any(|byte| *byte != 0))
}

/// Sets what differs, except what is left out. `None` where that is refused.
fn copy_options(from: BorrowedFd<'_>, to: BorrowedFd<'_>, left_out: &[(i32, i32)]) -> Option<()> {
    for (level, name) in OPTIONS.iter().filter(|option| !left_out.contains(option)) {
        // A family's socket has no options of the other one, an older kernel not all of these.
        let Ok(wanted) = sockets::option(from, *level, *name) else { continue };
        if sockets::option(to, *level, *name).ok().as_ref() != Some(&wanted) {
            sockets::set_option(to, *level, *name, &wanted).ok()?;
        }
    }
    let chosen = sockets::number(from, SOL_SOCKET, libc::SO_BUF_LOCK).unwrap_or(0);
    for (name, _) in BUFFERS.iter().filter(|(_, bit)| chosen & bit != 0) {
        let wanted = sockets::number(from, SOL_SOCKET, *name).ok()?;
        // The kernel shows twice what was asked for.
        sockets::set_option(to, SOL_SOCKET, *name, &(wanted / 2).to_ne_bytes()).ok()?;
        if sockets::number(to, SOL_SOCKET, *name).ok()? != wanted {
            return None;
        }
    }
    Some(())
}

/// Binds a port that was chosen here: one that the kernel chooses could be given up again.
fn take_port(socket: &OwnedFd, family: AddressFamily, source: IpAddr, ports: &Ports) -> nix::Result<()> {
    let source = match source {
        IpAddr::V4(four) if family == AddressFamily::Inet6 => four.to_ipv6_mapped().into(),
        other => other,
    };
    let reuse = |on: &[u8]| sockets::set_option(socket.as_fd(), SOL_SOCKET, libc::SO_REUSEADDR, on);
    let wanted = sockets::option(socket.as_fd(), SOL_SOCKET, libc::SO_REUSEADDR)?;
    // Ports of connections that are waiting out their time are as good as others.
    reuse(&1i32.to_ne_bytes())?;
    let mut last = Err(Errno::EADDRINUSE);
    for _ in 0..PORTS_TRIED {
        let address = SockaddrStorage::from(SocketAddr::new(source, ports.any()?));
        last = bind(socket.as_raw_fd(), &address);
        if last != Err(Errno::EADDRINUSE) {
            break;
        }
    }
    last?;
    reuse(&wanted)
}

/// The host's ports for connections.
#[derive(Debug)]
pub(super) struct Ports {
    all: RangeInclusive<u16>,
    reserved: Vec<RangeInclusive<u16>>,
}

impl Ports {
    /// As the host has it (ip(7), `ip_local_port_range`, `ip_local_reserved_ports`).
    pub(super) fn of_host() -> Ports {
        let text = |name: &str| text_of(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
        Ports {
            all: range(&text("ip_local_port_range"), char::is_whitespace).unwrap_or(PORTS),
            reserved: text("ip_local_reserved_ports")
                .trim()
                .split(',')
                .filter_map(|part| range(part, |c| c == '-'))
                .collect(),
        }
    }

    fn any(&self) -> nix::Result<u16> {
        let count = u64::from(self.all.end() - self.all.start()) + 1;
        for _ in 0..PORTS_TRIED {
            let mut bytes = [0; 8];
            random::fill(&mut bytes)?;
            let offset = u16::try_from(u64::from_ne_bytes(bytes) % count).unwrap_or(0);
            let port = self.all.start() + offset;
            if !self.reserved.iter().any(|range| range.contains(&port)) {
                return Ok(port);
            }
        }
        Err(Errno::EADDRNOTAVAIL)
    }
}

/// `first SEPARATOR last`, or one number.
fn range(text: &str, separator: impl Fn(char) -> bool) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split(separator).filter(|part| !part.is_empty()).map(|part| part.trim().parse());
    let first: u16 = numbers.next()?.ok()?;
    let last = numbers.next().transpose().ok()?.unwrap_or(first);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ports() {
        assert_eq!(range("32768\t60999\n", char::is_whitespace), Some(32768..=60999));
        assert_eq!(range("8080", |c| c == '-'), Some(8080..=8080));
        assert_eq!(range("9000-9010", |c| c == '-'), Some(9000..=9010));
        for bad in ["", "x", "9-8", "70000"] {
            assert_eq!(range(bad, |c| c == '-'), None, "{bad}");
        }
        let ports = Ports { all: 5..=8, reserved: vec![5..=6, 8..=8] };
        assert!((0..20).filter_map(|_| ports.any().ok()).all(|port| port == 7));
    }

    #[test]
    fn options_are_taken_over() {
        let (from, to) = (tcp(AddressFamily::Inet6).unwrap(), tcp(AddressFamily::Inet6).unwrap());
        let set = |level, name, value: i32| {
            sockets::set_option(from.as_fd(), level, name, &value.to_ne_bytes()).unwrap();
        };
        set(IPPROTO_TCP, libc::TCP_NODELAY, 1);
        set(IPPROTO_TCP, libc::TCP_KEEPIDLE, 77);
        set(SOL_SOCKET, libc::SO_RCVBUF, 65536);
        set(IPPROTO_IPV6, libc::IPV6_V6ONLY, 1);
        copy_options(from.as_fd(), to.as_fd(), &[]).unwrap();
        let of = |socket: &OwnedFd, level, name| sockets::number(socket.as_fd(), level, name).unwrap();
        for (level, name) in [
            (IPPROTO_TCP, libc::TCP_NODELAY),
            (IPPROTO_TCP, libc::TCP_KEEPIDLE),
            (SOL_SOCKET, libc::SO_RCVBUF),
            (SOL_SOCKET, libc::SO_SNDBUF),
            (IPPROTO_IPV6, libc::IPV6_V6ONLY),
        ] {
            assert_eq!(of(&from, level, name), of(&to, level, name), "{level} {name}");
        }
        let locks = |socket: &OwnedFd| of(socket, SOL_SOCKET, libc::SO_BUF_LOCK);
        assert_eq!((locks(&from), locks(&to)), (2, 2), "the other buffer still grows by itself");
    }
}
