//! The host side of published ports: bound first, in the host's network, by a process that can still report
//! errors to the user.
//!
//! A port without an address takes two sockets, `0.0.0.0` and `[::]` (IPv6 only), with the same number. Fixed
//! ports are bound before ranges, and ranges before automatically chosen ports, so that the kernel never
//! chooses a number that another option asks for.

use crate::error::{Error, Kind, Result, phrases};
use crate::spec::network::{PortPublish, Protocol, host_address};
use crate::sys::read::text_of;
use crate::sys::sctp::{self, Streams};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, getsockname,
    listen as start_listening, setsockopt, socket, sockopt,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// How often a free port is asked for until one is free in both families.
const FREE_PORT_TRIES: usize = 64;
/// Most streams of an SCTP association towards a client; from it, as many as it likes.
const STREAMS_MAX: u16 = 1024;

/// A published port's sockets on the host.
#[derive(Debug)]
pub struct Listener {
    /// What is published, with the host port that was bound.
    pub bound: PortPublish,
    /// One socket per address family; listening for TCP and SCTP.
    pub(super) sockets: Vec<OwnedFd>,
}

impl Listener {
    /// Its sockets, for a process that keeps them.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd)
    }
}

/// Binds the host side of every published port, in the order given.
///
/// # Errors
/// `Network`, naming the port: in use (`EADDRINUSE`), privileged (`EACCES`), or an address that this
/// machine does not have (`EADDRNOTAVAIL`). Nothing stays bound then.
pub fn listen(ports: &[PortPublish]) -> Result<Vec<Listener>> {
    let mut order: Vec<usize> = (0..ports.len()).collect();
    order.sort_by_key(|&i| match (ports[i].host_port, ports[i].host_port_end) {
        (0, _) => 2,
        (_, Some(_)) => 1,
        _ => 0,
    });
    let mut bound: Vec<Option<Listener>> = ports.iter().map(|_| None).collect();
    for i in order {
        bound[i] = Some(open(&ports[i]).map_err(|e| explain(&ports[i], e))?);
    }
    Ok(bound.into_iter().flatten().collect())
}

/// Binds one published port: the first of its candidates that is free.
fn open(port: &PortPublish) -> nix::Result<Listener> {
    let mut last = Errno::EADDRINUSE;
    let candidates: Vec<u16> = match (port.host_port, port.host_port_end) {
        (0, _) => vec![0; FREE_PORT_TRIES],
        (first, end) => (first..=end.unwrap_or(first)).collect(),
    };
    for candidate in candidates {
        match open_at(port, candidate) {
            Ok(sockets) => {
                let host_port = local_port(&sockets[0])?;
                let bound = PortPublish { host_port, host_port_end: None, ..port.clone() };
                return Ok(Listener { bound, sockets });
            }
            Err(Errno::EADDRINUSE) => last = Errno::EADDRINUSE,
            Err(e) => return Err(e),
        }
    }
    Err(last)
}

/// Binds one number in every family asked for; a machine without IPv6 is content with IPv4.
fn open_at(port: &PortPublish, number: u16) -> nix::Result<Vec<OwnedFd>> {
    let Some(ip) = port.host_ip.map(|ip| ip.to_canonical()) else {
        let four = open_socket(port.protocol, (Ipv4Addr::UNSPECIFIED, number).into())?;
        let number = local_port(&four)?;
        return match open_socket(port.protocol, (Ipv6Addr::UNSPECIFIED, number).into()) {
            Ok(six) => Ok(vec![four, six]),
            Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => Ok(vec![four]),
            Err(e) => Err(e),
        };
    };
    Ok(vec![open_socket(port.protocol, (ip, number).into())?])
}

/// Refuses ports of a protocol that this kernel does not have, before anything changes.
///
/// # Errors
/// `Network`, naming the port.
pub fn check_protocols(ports: &[PortPublish]) -> Result<()> {
    match ports.iter().find(|port| port.protocol == Protocol::Sctp) {
        Some(port) => new_socket(AddressFamily::Inet, port.protocol).map(drop).map_err(|e| explain(port, e)),
        None => Ok(()),
    }
}

fn new_socket(family: AddressFamily, protocol: Protocol) -> nix::Result<OwnedFd> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SockType::Stream, None),
        Protocol::Udp => (SockType::Datagram, None),
        Protocol::Sctp => (SockType::Stream, Some(SockProtocol::Sctp)),
    };
    socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, number)
}

fn open_socket(protocol: Protocol, address: SocketAddr) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = new_socket(family, protocol)?;
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    match protocol {
        // Connections of an earlier container in TIME_WAIT do not hold the port.
        Protocol::Tcp => setsockopt(&fd, sockopt::ReuseAddr, &true)?,
        // Nor do associations that are still being shut down.
        Protocol::Sctp => {
            setsockopt(&fd, sockopt::ReuseAddr, &true)?;
            sctp::ask_for(&fd, Streams { out: STREAMS_MAX, inward: 0 })?;
        }
        // An answer must leave from the address that was asked, which a wildcard socket has to note.
        Protocol::Udp if address.is_ipv4() => setsockopt(&fd, sockopt::Ipv4PacketInfo, &true)?,
        Protocol::Udp => setsockopt(&fd, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    if protocol != Protocol::Udp {
        start_listening(&fd, Backlog::MAXCONN)?;
    }
    Ok(fd)
}

/// The port a socket is bound to.
fn local_port(fd: &OwnedFd) -> nix::Result<u16> {
    let address: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    let four = address.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::port);
    four.or(address.as_sockaddr_in6().map(nix::sys::socket::SockaddrIn6::port)).ok_or(Errno::EAFNOSUPPORT)
}

/// Puts a refusal of the kernel into words.
fn explain(port: &PortPublish, errno: Errno) -> Error {
    let PortPublish { host_port, container_port, protocol, .. } = port;
    let error =
        |why: String| Error::new(Kind::Network, format!("cannot publish {port}: {why}")).caused_by(errno);
    let plain = || Error::new(Kind::Network, format!("cannot publish {port}")).caused_by(errno);
    let another = match host_port.checked_add(if *host_port < 1024 { 8000 } else { 1 }) {
        Some(other) => format!("-p {other}:{container_port}"),
        None => format!("-p {container_port}"),
    };
    match errno {
        Errno::EADDRINUSE if port.host_port_end.is_some() => error("no port of the range is free".to_owned())
            .hint(format!("Use another range, or any free port: -p {container_port}.")),
        Errno::EADDRINUSE => {
            let address = format!("{}:{host_port}", host_address(port.host_ip));
            phrases::port_in_use(&port.to_string(), &address, protocol.as_str()).caused_by(errno).hint(
                format!(
                    "See who has it: ss -{}lnp 'sport = :{host_port}'. Or use another port, or any free one: -p {container_port}.",
                    match protocol {
                        Protocol::Tcp => 't',
                        Protocol::Udp => 'u',
                        Protocol::Sctp => 'S',
                    }
                ),
            )
        }
        Errno::EPROTONOSUPPORT | Errno::ESOCKTNOSUPPORT => {
            error(format!("this kernel has no {}", protocol.as_str().to_uppercase())).hint(
                "Load its module, if the kernel comes with one: sudo modprobe sctp. Or use /tcp or /udp.",
            )
        }
        Errno::EACCES | Errno::EPERM => {
            let first = text_of("/proc/sys/net/ipv4/ip_unprivileged_port_start")
                .map_or_else(|_| "1024".to_owned(), |text| text.trim().to_owned());
            error(format!("host ports below {first} are privileged")).hint(format!(
                "Use a higher port: {another}. Or allow it on this machine: \
                 sudo sysctl net.ipv4.ip_unprivileged_port_start={host_port}."
            ))
        }
        Errno::EADDRNOTAVAIL => {
            let ip = port.host_ip.map(|ip: IpAddr| ip.to_string()).unwrap_or_default();
            error(format!("{ip} is not an address of this machine")).hint(
                "See the machine's addresses: ip -brief address. Or leave the address out for all of them.",
            )
        }
        Errno::EMFILE => {
            plain().hint("Publish fewer ports, or raise the limit in this shell: ulimit -n $(ulimit -Hn).")
        }
        _ => plain(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::parse_publish;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    fn publish(text: &str) -> Vec<PortPublish> {
        parse_publish(text).unwrap()
    }

    #[test]
    fn a_free_port_is_the_same_in_both_families() {
        let listeners = listen(&publish("80")).unwrap();
        let port = listeners[0].bound.host_port;
        assert_ne!(port, 0);
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        for fd in &listeners[0].sockets {
            assert_eq!(local_port(fd).unwrap(), port);
        }
        if listeners[0].sockets.len() == 2 {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        } else {
            eprintln!("skipped the IPv6 half: this machine has no IPv6");
        }
    }

    #[test]
    fn a_taken_port_is_refused_by_name() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let e = listen(&publish(&format!("127.0.0.1:{port}:80"))).unwrap_err();
        assert_eq!(e.kind(), Kind::Network);
        assert_eq!(
            e.message(),
            format!("cannot publish 127.0.0.1:{port}->80/tcp: listen tcp 127.0.0.1:{port}: bind")
        );
        assert!(e.hints()[0].contains("ss -tlnp"), "{:?}", e.hints());
        // The wildcard meets the same holder.
        listen(&publish(&format!("{port}:80"))).unwrap_err();
    }

    #[test]
    fn sctp_needs_a_kernel_that_has_it() {
        let ports = publish("127.0.0.1::9/sctp");
        let Err(e) = check_protocols(&ports) else {
            assert_ne!(listen(&ports).unwrap()[0].bound.host_port, 0);
            return;
        };
        assert_eq!(e.message(), "cannot publish 127.0.0.1:0->9/sctp: this kernel has no SCTP");
        assert!(e.hints()[0].contains("sudo modprobe sctp"), "{:?}", e.hints());
        assert_eq!(listen(&ports).unwrap_err().message(), e.message());
        check_protocols(&publish("9")).unwrap();
    }

    #[test]
    fn a_range_takes_the_first_free_port() {
        let (holder, port) = loop {
            let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
            let port = holder.local_addr().unwrap().port();
            if port < 65530 && UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
                break (holder, port);
            }
        };
        let range = publish(&format!("127.0.0.1:{port}-{}:53/udp", port + 3));
        let listeners = listen(&range).unwrap();
        assert!(listeners[0].bound.host_port > port);
        drop(holder);
    }

    #[test]
    fn a_foreign_address_and_a_low_port_have_hints() {
        let e = listen(&publish("198.51.100.77:0:80")).unwrap_err();
        assert!(e.message().ends_with("198.51.100.77 is not an address of this machine"), "{e}");
        let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
        if nix::unistd::geteuid().is_root() || start.trim().parse::<u16>().unwrap() <= 7 {
            eprintln!("skipped: low ports are free for this user");
            return;
        }
        let e = listen(&publish("127.0.0.1:7:80")).unwrap_err();
        assert!(e.hints()[0].contains("sysctl net.ipv4.ip_unprivileged_port_start=7"), "{:?}", e.hints());
        assert!(e.hints()[0].contains("-p 8007:80"), "{:?}", e.hints());
    }
}
