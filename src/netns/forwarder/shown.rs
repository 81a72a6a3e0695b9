//! UDP clients that show with their own addresses.
//!
//! Theory of operation. As for TCP, a socket inside binds the client's address (`IP_TRANSPARENT`). But a service answers
//! from a socket of its own, which inherits no mark, so answers are told by where they come from: a rule for each
//! published port sends what leaves from it by UDP to a table of ours (ip-rule(8), Linux 4.17), and there the address of
//! a client is local as long as it has a session. What the service sends to anybody else goes its usual way. The route
//! names the container's address as the source; an answer would have the client's otherwise.
//!
//! A client's port is not bound where a published service may want it, or somebody has it: the client then shows
//! with its address and another port.

use super::inside::{Inside, MARK, PRIORITY, add};
use crate::netns::netlink::Netlink;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleHeader, RuleMessage, RulePortRange};
use netlink_packet_route::{AddressFamily as Family, IpProtocol, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt,
};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// The number of the table with the addresses of clients.
const TABLE: u32 = 0xc04b;

/// The clients whose addresses are local for answers.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// How many sessions show with an address, and the container's address that they go to.
    clients: HashMap<(IpAddr, IpAddr), usize>,
    /// The published ports that have a rule.
    ports: BTreeSet<(u16, bool)>,
    /// Ports inside that services may want.
    services: BTreeSet<u16>,
}

/// Who a session shows as; to be given back with [`Shown::forget`].
#[derive(Debug)]
pub(super) struct Guise((IpAddr, IpAddr));

impl Shown {
    /// Where these ports inside are published.
    pub(super) fn new(services: BTreeSet<u16>) -> Shown {
        Shown { services, ..Shown::default() }
    }

    /// A socket that is connected to a port of the container, from the client's address if that can be.
    ///
    /// # Errors
    /// Those of socket(2) and connect(2).
    pub(super) fn dial(
        &mut self,
        inside: &Inside,
        client: SocketAddr,
        port: u16,
    ) -> nix::Result<(UdpSocket, Option<Guise>)> {
        let mut last = Errno::ENETUNREACH;
        for way in inside.ways(client, port) {
            let dialed = match way.from {
                Some(from) => self.dial_from(from, way.to).map(|(socket, guise)| (socket, Some(guise))),
                None => plain(way.to).map(|socket| (socket, None)),
            };
            match dialed {
                Ok(dialed) => return Ok(dialed),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// A session has ended.
    pub(super) fn forget(&mut self, Guise(pair): Guise) {
        let Some(count) = self.clients.get_mut(&pair) else { return };
        *count -= 1;
        if *count == 0 {
            self.clients.remove(&pair);
            // With the container's address, the kernel has taken it away already.
            let _ = Netlink::open()
                .and_then(|netlink| netlink.change(RouteNetlinkMessage::DelRoute(route(pair)?), 0));
        }
    }

    fn dial_from(&mut self, from: SocketAddr, to: SocketAddr) -> nix::Result<(UdpSocket, Guise)> {
        let guise = self.meet(from.ip(), to)?;
        let any = SocketAddr::new(from.ip(), 0);
        let taken = self.services.contains(&from.port());
        let bound = match transparent(if taken { any } else { from }) {
            Err(Errno::EADDRINUSE | Errno::EADDRNOTAVAIL | Errno::EACCES) if !taken => transparent(any),
            other => other,
        };
        let connected = bound.and_then(|socket| {
            connect(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => Ok((socket, guise)),
            Err(e) => {
                self.forget(guise);
                Err(e)
            }
        }
    }

    /// Makes a client's address local for answers of the service at `to`.
    fn meet(&mut self, client: IpAddr, to: SocketAddr) -> nix::Result<Guise> {
        let pair = (client, to.ip());
        if !self.ports.contains(&(to.port(), to.is_ipv4())) {
            add(&Netlink::open()?, RouteNetlinkMessage::NewRule(rule(to)))?;
            self.ports.insert((to.port(), to.is_ipv4()));
        }
        let count = self.clients.entry(pair).or_default();
        if *count == 0 {
            let netlink = Netlink::open()?;
            netlink.change(RouteNetlinkMessage::NewRoute(route(pair)?), NLM_F_CREATE | NLM_F_EXCL)?;
        }
        *count += 1;
        Ok(Guise(pair))
    }
}

fn family(ip: IpAddr) -> Family {
    if ip.is_ipv4() { Family::Inet } else { Family::Inet6 }
}

/// What leaves from this port by UDP looks for its way in our table first.
fn rule(service: SocketAddr) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header =
        RuleHeader { family: family(service.ip()), action: RuleAction::ToTable, ..RuleHeader::default() };
    let port = RulePortRange { start: service.port(), end: service.port() };
    rule.attributes = vec![
        RuleAttribute::IpProtocol(IpProtocol::Udp),
        RuleAttribute::SourcePortRange(port),
        RuleAttribute::Table(TABLE),
        RuleAttribute::Priority(PRIORITY + 1),
    ];
    rule
}

/// A client's address is local, and talks to the container's.
fn route((client, own): (IpAddr, IpAddr)) -> nix::Result<RouteMessage> {
    let mut route = RouteMessage::default();
    route.header = RouteHeader {
        address_family: family(client),
        destination_prefix_length: if client.is_ipv4() { 32 } else { 128 },
        protocol: RouteProtocol::Static,
        scope: RouteScope::Host,
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    route.attributes = vec![
        RouteAttribute::Destination(client.into()),
        RouteAttribute::PrefSource(own.into()),
        RouteAttribute::Table(TABLE),
        RouteAttribute::Oif(nix::net::if_::if_nametoindex("lo")?),
    ];
    Ok(route)
}

/// A socket at somebody else's address.
fn transparent(from: SocketAddr) -> nix::Result<UdpSocket> {
    let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Datagram, flags, None)?;
    if from.is_ipv4() {
        setsockopt(&fd, sockopt::IpTransparent, &true)?;
    } else {
        crate::sys::net::set_ipv6_transparent(&fd)?;
    }
    // What the kernel answers, when nobody listens, finds back by it.
    setsockopt(&fd, sockopt::Mark, &MARK)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(from))?;
    Ok(fd.into())
}

/// A socket with the container's own address.
fn plain(to: SocketAddr) -> nix::Result<UdpSocket> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let dialed = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(to)?;
        Ok(socket)
    };
    dialed().map_err(|e: std::io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(nix::libc::EIO)))
}
