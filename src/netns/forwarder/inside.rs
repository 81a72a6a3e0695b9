//! The container's side: entering its network, and connecting there from the client's address.
//!
//! Theory of operation. A TCP socket inside the container's network binds the client's address
//! (`IP_TRANSPARENT`) and connects to the container's. The answers would be routed to the real client, so the
//! socket carries a mark, which the accepting side inherits (`tcp_fwmark_accept`; resets and ICMP errors
//! through `fwmark_reflect`), and a rule sends marked packets to a table whose only route is "everything is
//! local". No packet leaves loopback, and unmarked traffic is unaffected.
//!
//! Clients on the host's loopback, and those of a family that the container does not have, appear as the gateway,
//! which represents the host inside. Linux' SCTP binds no foreign address (`EADDRNOTAVAIL` in spite of
//! `IP_TRANSPARENT`) and accepted associations inherit no mark, so its clients appear with the container's own address.
//! UDP has a way of its own ([`super::shown`]).

use crate::fork::{Doing, Failure};
use crate::netns::netlink::Netlink;
use crate::netns::reach::Reach;
use crate::sys::sctp::{self, Streams};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleHeader, RuleMessage};
use netlink_packet_route::{AddressFamily as Family, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect, setsockopt, socket,
    sockopt,
};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The mark on our connections inside, the number of our routing table, and the rule's priority.
pub(super) const MARK: u32 = 0xc0_4ac1e;
const TABLE: u32 = 0xc04a;
pub(super) const PRIORITY: u32 = 0xc04;

/// The container's network, entered.
#[derive(Debug)]
pub(super) struct Inside {
    /// `None` as long as there is nowhere to connect to.
    at: Option<Reach>,
    /// Whether services see the client's address, by IPv4 and by IPv6.
    keep_client: bool,
    keep_client6: bool,
}

/// One way to reach the container: who it shows as, and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    /// The address to show; `None` for the container's own.
    pub(super) from: Option<SocketAddr>,
    pub(super) to: SocketAddr,
    /// By SCTP, with as many streams; else by TCP.
    streams: Option<Streams>,
}

impl Inside {
    /// Moves this process into the container's user and network namespace and drops the capabilities
    /// that are not needed there.
    pub(super) fn enter(
        reach: Option<&Reach>,
        userns: BorrowedFd<'_>,
        netns: BorrowedFd<'_>,
    ) -> Result<Self, Failure> {
        // Before it is in reach of anybody inside who may trace.
        nix::sys::prctl::set_dumpable(false).doing("forbid", "tracing")?;
        setns(userns, CloneFlags::CLONE_NEWUSER).doing("enter", "the container's user namespace")?;
        setns(netns, CloneFlags::CLONE_NEWNET).doing("enter", "the container's network namespace")?;
        super::super::loopback_up().doing("bring up", "the container's loopback")?;
        let keep_client = reach.is_none_or(|reach| reach.keep_client) && route_marked();
        let keep_client6 =
            keep_client && reach.is_some_and(|reach| reach.gateway6.is_some()) && route_marked6();
        drop_capabilities(keep_client).map_err(|e| Failure::other("drop", "capabilities", e.to_string()))?;
        nix::sys::prctl::set_no_new_privs().doing("set", "no_new_privs")?;
        Ok(Inside { at: reach.copied(), keep_client, keep_client6 })
    }

    /// From now on it is reached like this, or not at all.
    pub(super) fn move_to(&mut self, reach: Option<Reach>) {
        self.at = reach;
        let has_six = reach.is_some_and(|reach| reach.gateway6.is_some());
        self.keep_client6 = self.keep_client6 || self.keep_client && has_six && route_marked6();
    }

    /// Whether services see the client's address.
    pub(super) fn keeps_client(&self) -> bool {
        self.keep_client
    }

    /// The ways to try for a client, best first.
    pub(super) fn ways(&self, client: SocketAddr, port: u16) -> Vec<Way> {
        let Some(Reach { four, gateway6, .. }) = self.at else { return Vec::new() };
        let mut ways = Vec::with_capacity(3);
        let mut way = |from: Option<IpAddr>, to: IpAddr| {
            let from = from.map(|ip| SocketAddr::from((ip, client.port())));
            ways.push(Way { from, to: (to, port).into(), streams: None });
        };
        let six = || gateway6.and_then(|gateway| Some((gateway, own_address(gateway)?)));
        match client.ip().to_canonical() {
            IpAddr::V4(ip) if self.keep_client && !ip.is_loopback() => {
                four.into_iter().for_each(|four| way(Some(ip.into()), four.address.into()));
            }
            IpAddr::V6(ip) if self.keep_client6 => {
                if let Some((gateway, own)) = six() {
                    // A link-local address means nothing without its interface.
                    let shown = if ip.is_loopback() || ip.is_unicast_link_local() { gateway } else { ip };
                    way(Some(shown.into()), own.into());
                }
            }
            _ => {}
        }
        let (gateway, own): (IpAddr, IpAddr) = match (four, six()) {
            (Some(four), _) => (four.gateway.into(), four.address.into()),
            (None, Some((gateway, own))) => (gateway.into(), own.into()),
            (None, None) => return ways,
        };
        if if own.is_ipv4() { self.keep_client } else { self.keep_client6 } {
            way(Some(gateway), own);
        }
        way(None, own);
        ways
    }

    /// The ways to try for a client that comes by SCTP.
    pub(super) fn ways_of_sctp(&self, port: u16, streams: Streams) -> Vec<Way> {
        let way = |own: IpAddr| Way { from: None, to: (own, port).into(), streams: Some(streams) };
        self.own().map(way).into_iter().collect()
    }

    /// The container's address.
    fn own(&self) -> Option<IpAddr> {
        let four = self.at.and_then(|at| at.four).map(|four| IpAddr::from(four.address));
        let six = || Some(own_address(self.at?.gateway6?)?.into());
        four.or_else(six)
    }

    /// Starts to connect; the socket is non-blocking and becomes writable when it is done.
    ///
    /// # Errors
    /// Those of connect(2) and bind(2), but `EINPROGRESS`.
    pub(super) fn dial(&self, way: &Way) -> nix::Result<OwnedFd> {
        match self.dial_from(way, way.from) {
            // The client uses this port for another connection to the same service.
            Err(Errno::EADDRINUSE | Errno::EADDRNOTAVAIL) => {
                let any = way.from.map(|from| SocketAddr::new(from.ip(), 0));
                self.dial_from(way, any)
            }
            other => other,
        }
    }

    fn dial_from(&self, way: &Way, from: Option<SocketAddr>) -> nix::Result<OwnedFd> {
        let family = if way.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(family, SockType::Stream, flags, way.streams.map(|_| SockProtocol::Sctp))?;
        match way.streams {
            Some(streams) => {
                sctp::prepare(&fd)?;
                sctp::ask_for(&fd, streams)?;
            }
            None => setsockopt(&fd, sockopt::TcpNoDelay, &true)?,
        }
        if let Some(from) = from {
            if from.is_ipv4() {
                setsockopt(&fd, sockopt::IpTransparent, &true)?;
            } else {
                crate::sys::net::set_ipv6_transparent(&fd)?;
            }
            setsockopt(&fd, sockopt::Mark, &MARK)?;
            setsockopt(&fd, sockopt::ReuseAddr, &true)?;
            bind(fd.as_raw_fd(), &SockaddrStorage::from(from))?;
        }
        match connect(fd.as_raw_fd(), &SockaddrStorage::from(way.to)) {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(fd),
            Err(e) => Err(e),
        }
    }
}

/// The address from which this network reaches `gateway`; slirp's IPv6 addresses are random.
fn own_address(gateway: Ipv6Addr) -> Option<Ipv6Addr> {
    let probe = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).ok()?;
    probe.connect((gateway, 9)).ok()?;
    match probe.local_addr().ok()? {
        SocketAddr::V6(own) if !own.ip().is_loopback() && !own.ip().is_unicast_link_local() => {
            Some(*own.ip())
        }
        _ => None,
    }
}

/// Keeps what binding a client's address takes, or nothing.
fn drop_capabilities(keep_client: bool) -> Result<(), caps::errors::CapsError> {
    use caps::{CapSet, Capability, CapsHashSet};
    let mut needed = CapsHashSet::new();
    if keep_client {
        needed.extend([Capability::CAP_NET_ADMIN, Capability::CAP_NET_BIND_SERVICE]);
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &needed)?;
    caps::set(None, CapSet::Permitted, &needed)
}

/// Sets up sysctls, rule and route; whether all of it worked for IPv4.
fn route_marked() -> bool {
    set("ipv4/tcp_fwmark_accept") && set("ipv4/fwmark_reflect") && add_local_table(Family::Inet).is_ok()
}

/// The same for IPv6.
fn route_marked6() -> bool {
    set("ipv6/fwmark_reflect") && add_local_table(Family::Inet6).is_ok()
}

fn set(file: &str) -> bool {
    std::fs::write(format!("/proc/sys/net/{file}"), "1").is_ok()
}

/// Sends marked packets to a table in which every address is local.
fn add_local_table(family: Family) -> nix::Result<()> {
    let netlink = Netlink::open()?;
    let loopback = nix::net::if_::if_nametoindex("lo")?;

    let mut route = RouteMessage::default();
    route.header = RouteHeader {
        address_family: family,
        protocol: RouteProtocol::Static,
        scope: RouteScope::Host,
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    route.attributes = vec![RouteAttribute::Table(TABLE), RouteAttribute::Oif(loopback)];
    add(&netlink, RouteNetlinkMessage::NewRoute(route))?;

    let mut rule = RuleMessage::default();
    rule.header = RuleHeader { family, action: RuleAction::ToTable, ..RuleHeader::default() };
    rule.attributes =
        vec![RuleAttribute::FwMark(MARK), RuleAttribute::Table(TABLE), RuleAttribute::Priority(PRIORITY)];
    add(&netlink, RouteNetlinkMessage::NewRule(rule))
}

/// Makes what there may be already.
pub(super) fn add(netlink: &Netlink, message: RouteNetlinkMessage) -> nix::Result<()> {
    match netlink.change(message, NLM_F_CREATE | NLM_F_EXCL) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(keep_client: bool) -> Inside {
        let options = crate::spec::network::SlirpOptions::default();
        Inside { at: Some(Reach::from(&options)), keep_client, keep_client6: false }
    }

    fn shown(inside: &Inside, client: &str) -> Vec<String> {
        let ways = inside.ways(client.parse().unwrap(), 80);
        ways.iter().map(|w| format!("{}>{}", w.from.map_or("own".into(), |f| f.to_string()), w.to)).collect()
    }

    #[test]
    fn clients_show_as_themselves_and_the_host_as_the_gateway() {
        let on = inside(true);
        assert_eq!(
            shown(&on, "203.0.113.9:5000"),
            ["203.0.113.9:5000>10.0.2.100:80", "10.0.2.2:5000>10.0.2.100:80", "own>10.0.2.100:80"]
        );
        for host in ["127.0.0.1:5000", "[::1]:5000", "[2001:db8::1]:5000"] {
            assert_eq!(shown(&on, host), ["10.0.2.2:5000>10.0.2.100:80", "own>10.0.2.100:80"], "{host}");
        }
        assert_eq!(shown(&on, "[::ffff:203.0.113.9]:5000")[0], "203.0.113.9:5000>10.0.2.100:80");
        assert_eq!(shown(&inside(false), "203.0.113.9:5000"), ["own>10.0.2.100:80"]);
    }
}
