//! Which way packets would go: in the container's network, and from the host.

use super::address::is_outside;
use crate::netns::bridge::outside;
use crate::netns::netlink::{Index, Netlink};
use crate::spec::Attached;
use crate::sys::sockets;
use ipnet::IpNet;
use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily as Family, RouteNetlinkMessage};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};

/// Documentation addresses (RFC 5737, RFC 3849): somewhere outside.
const SOMEWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// The loopback interface's number, in every network namespace (`LOOPBACK_IFINDEX`, net/flow.h of the kernel).
const LOOPBACK: Index = 1;

/// What leads out of a container's network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways {
    /// Who passes on to the host what is for the outside.
    pub gateways: Vec<IpAddr>,
    /// Ranges behind them that are not outside.
    pub between: Vec<IpNet>,
}

impl Ways {
    /// Of a container on these networks. What is between a network and slirp4netns is not outside.
    pub fn of(networks: &[&Attached]) -> Ways {
        let outward = networks.iter().filter(|network| !network.internal);
        let gateways = outward.flat_map(|network| &network.addresses).map(|address| address.gateway);
        Ways { gateways: gateways.collect(), between: outside::between() }
    }
}

/// Where the host sends what is for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    /// The interface.
    pub(super) device: Index,
    /// The host's address there.
    pub(super) source: IpAddr,
}

#[derive(Debug)]
struct Route {
    kind: RouteType,
    gateway: Option<IpAddr>,
    device: Option<Index>,
    source: Option<IpAddr>,
}

/// Both networks.
#[derive(Debug)]
pub(super) struct Map {
    host: Netlink,
    inside: Netlink,
    netns: OwnedFd,
    pub(super) ways: Ways,
    /// What sockets of each network know it by.
    pub(super) host_network: u64,
    pub(super) inside_network: u64,
}

impl Map {
    /// Looks at both. Without `ways`, what leads out of the container's network is what its routes say now.
    ///
    /// # Errors
    /// A refused system call.
    pub(super) fn draw(netns: OwnedFd, ways: Option<Ways>) -> nix::Result<Map> {
        let host = Netlink::open()?;
        let host_network = sockets::network_of(tcp(AddressFamily::Inet)?.as_fd())?;
        let (inside, inside_network) = within(&netns, || {
            Ok((Netlink::open()?, sockets::network_of(tcp(AddressFamily::Inet)?.as_fd())?))
        })?;
        let found = || SOMEWHERE.iter().filter_map(|ip| route(&inside, *ip)?.gateway).collect();
        let ways = ways.unwrap_or_else(|| Ways { gateways: found(), between: Vec::new() });
        Ok(Map { host, inside, netns, ways, host_network, inside_network })
    }

    /// The host's way to an address, if the container would reach it by way of the host and nothing else.
    pub(super) fn exit(&self, ip: IpAddr) -> Option<Exit> {
        let ip = ip.to_canonical();
        if !is_outside(ip) || self.ways.between.iter().any(|range| range.contains(&ip)) {
            return None;
        }
        let by = route(&self.inside, ip).filter(|route| route.kind == RouteType::Unicast)?.gateway?;
        if !self.ways.gateways.contains(&by) {
            return None;
        }
        let out = route(&self.host, ip)?;
        let device = match out.kind {
            RouteType::Unicast => out.device?,
            // One of the host's own: the interface that has it, as the kernel says "lo" of all of them.
            RouteType::Local => owner(ip)?,
            _ => return None,
        };
        let source = out.source?;
        // Sockets that are bound to this one could go to the host's loopback.
        if device == LOOPBACK || !is_outside(source) {
            return None;
        }
        Some(Exit { device, source })
    }

    /// The container's own address on the way to another one.
    pub(super) fn source(&self, ip: IpAddr) -> Option<IpAddr> {
        route(&self.inside, ip.to_canonical())?.source
    }

    /// A TCP socket of the container's network.
    ///
    /// # Errors
    /// Those of socket(2).
    pub(super) fn socket_inside(&self, family: AddressFamily) -> nix::Result<OwnedFd> {
        within(&self.netns, || tcp(family))
    }
}

/// A TCP socket of this thread's network.
pub(super) fn tcp(family: AddressFamily) -> nix::Result<OwnedFd> {
    socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
}

/// Does something in another network namespace, in a thread that ends with it: the others stay in the host's.
fn within<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> nix::Result<T> + Send) -> nix::Result<T> {
    let work = || setns(netns, CloneFlags::CLONE_NEWNET).and_then(|()| work());
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work);
        let thread = thread.map_err(|_| nix::errno::Errno::EAGAIN)?;
        thread.join().map_err(|_| nix::errno::Errno::EIO)?
    })
}

/// Asks for a route (rtnetlink(7), `RTM_GETROUTE`).
fn route(netlink: &Netlink, to: IpAddr) -> Option<Route> {
    let mut message = RouteMessage::default();
    let (family, bits) = match to {
        IpAddr::V4(_) => (Family::Inet, 32),
        IpAddr::V6(_) => (Family::Inet6, 128),
    };
    message.header.address_family = family;
    message.header.destination_prefix_length = bits;
    message.attributes = vec![RouteAttribute::Destination(to.into())];
    let answers = netlink.ask(RouteNetlinkMessage::GetRoute(message), NLM_F_ACK).ok()?;
    let found = answers.into_iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewRoute(found) => Some(found),
        _ => None,
    })?;
    let mut route = Route { kind: found.header.kind, gateway: None, device: None, source: None };
    for attribute in found.attributes {
        match attribute {
            RouteAttribute::Gateway(by) => route.gateway = address(&by),
            RouteAttribute::Oif(device) => route.device = Some(device),
            RouteAttribute::PrefSource(own) => route.source = address(&own),
            _ => {}
        }
    }
    Some(route)
}

fn address(found: &RouteAddress) -> Option<IpAddr> {
    match found {
        RouteAddress::Inet(four) => Some((*four).into()),
        RouteAddress::Inet6(six) => Some((*six).into()),
        _ => None,
    }
}

/// The interface of this host that has an address.
fn owner(ip: IpAddr) -> Option<Index> {
    let has = |found: &nix::ifaddrs::InterfaceAddress| {
        let address = found.address?;
        let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip()))).filter(|own| *own == ip)
    };
    let found = getifaddrs().ok()?.find(|found| has(found).is_some())?;
    if_nametoindex(found.interface_name.as_str()).ok()
}
