//! The network namespace of a network.
//!
//! Theory of operation. A helper makes the namespace, or enters the one that there is, and sends back what its parent
//! needs to work in it from outside: the namespace, a netlink socket of it, and the sockets of the name server, bound to
//! the bridge's addresses. The parent stays in the host's network, where other name servers are asked.

use super::dns::Door;
use super::filter::Filter;
use super::outside;
use crate::fork::{self, Doing, Failure, Link, Step};
use crate::netns::netlink::{Index, Netlink};
use crate::spec::bridge::UserNetwork;
use crate::spec::mac::MacAddress;
use crate::sys::fd::close_all_but;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt,
};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Port of the name server.
const DNS_PORT: u16 = 53;

/// A network's namespace, and what works in it.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) fd: OwnedFd,
    pub(super) netlink: Netlink,
    /// What keeps containers from being each other; not where the kernel has no nftables.
    pub(super) filter: Option<Filter>,
    pub(super) bridge: Index,
    pub(super) doors: Vec<Door>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Made {
    /// The bridge's number; the descriptors come along. `streams` of the sockets, the last ones, are for streams.
    Done {
        bridge: Index,
        streams: usize,
        filters: bool,
    },
    Failed(Failure),
}

impl Namespace {
    /// Makes it, or goes on with the one that there is.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub(super) fn make(
        network: &UserNetwork,
        existing: Option<BorrowedFd<'_>>,
    ) -> Result<Namespace, Failure> {
        let child = fork::spawn(0, |link| {
            let made = inside(network, existing, &link);
            let sent = match &made {
                Ok((fds, done)) => link.send(done, &fds.iter().map(AsFd::as_fd).collect::<Vec<_>>()),
                Err(failure) => link.send(&Made::Failed(failure.clone()), &[]),
            };
            i32::from(sent.is_err())
        })
        .doing(Step::Start, "a helper")?;
        let heard = child.link.recv::<Made>().doing("hear from", "a helper")?;
        child.wait().doing("wait for", "a helper")?;
        let lost = || Failure::other("make", "the network's namespace", "its helper died");
        match heard {
            Some((Made::Done { bridge, streams, filters }, fds)) => {
                let mut fds = fds.into_iter();
                let (fd, netlink) = (fds.next().ok_or_else(lost)?, fds.next().ok_or_else(lost)?);
                let filter = if filters { fds.next().map(Filter::from) } else { None };
                let sockets: Vec<OwnedFd> = fds.collect();
                let datagrams = sockets.len().saturating_sub(streams);
                let door = |(at, fd): (usize, OwnedFd)| {
                    if at < datagrams { Door::Udp(fd.into()) } else { Door::Tcp(fd.into()) }
                };
                let doors = sockets.into_iter().enumerate().map(door).collect();
                Ok(Namespace { fd, netlink: Netlink::from(netlink), filter, bridge, doors })
            }
            Some((Made::Failed(failure), _)) => Err(failure),
            None => Err(lost()),
        }
    }
}

fn inside(
    network: &UserNetwork,
    existing: Option<BorrowedFd<'_>>,
    link: &Link,
) -> Result<(Vec<OwnedFd>, Made), Failure> {
    let kept: Vec<BorrowedFd<'_>> = existing.into_iter().chain([link.as_fd()]).collect();
    close_all_but(&kept).doing("close", "descriptors")?;
    match existing {
        Some(fd) => setns(fd, CloneFlags::CLONE_NEWNET).doing("enter", "the network's namespace")?,
        None => unshare(CloneFlags::CLONE_NEWNET).doing(Step::MakeNamespaces, "network namespace")?,
    }
    let netlink = Netlink::open().doing("open", "a netlink socket")?;
    let bridge = match existing {
        Some(_) => netlink.index(&network.interface).doing("find", network.interface.as_str())?,
        None => furnish(network, &netlink)?,
    };
    let own = File::open("/proc/self/ns/net").doing("open", "/proc/self/ns/net")?;
    let filter = Filter::open().ok().filter(|filter| match existing {
        Some(_) => true,
        // Before any container is there. Without one the network works as well.
        None => filter.make(&outside::all(network)).is_ok(),
    });
    let filters = filter.is_some();
    let mut fds = vec![own.into(), netlink.into()];
    fds.extend(filter.map(OwnedFd::from));
    let mut streams = Vec::new();
    for subnet in &network.subnets {
        let bound = |kind| bound(subnet.gateway, kind).doing("listen on", format!("{}", subnet.gateway));
        fds.push(bound(SockType::Datagram)?);
        streams.push(bound(SockType::Stream)?);
    }
    let count = streams.len();
    fds.extend(streams);
    Ok((fds, Made::Done { bridge, streams: count, filters }))
}

/// Makes what is in a new namespace.
fn furnish(network: &UserNetwork, netlink: &Netlink) -> Result<Index, Failure> {
    let name = network.interface.as_str();
    crate::netns::loopback_up().doing("bring up", "loopback")?;
    let bridge =
        netlink.add_bridge(name, &hardware_address(network)).doing("make", format!("bridge {name}"))?;
    for subnet in &network.subnets {
        netlink
            .add_address(bridge, subnet.gateway, subnet.subnet.prefix_len())
            .doing("give", format!("{} to {name}", subnet.gateway))?;
    }
    // Between its containers and the uplink packets are routed, and nobody is told of a shorter way: it goes past
    // the gateway that the user has named.
    let mut set = vec![
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
        ("ipv6/conf/all/accept_ra", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
    ];
    if !network.internal {
        set.extend([("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")]);
    }
    for (file, value) in set {
        // A kernel without IPv6 lacks its files.
        let written = std::fs::write(format!("/proc/sys/net/{file}"), value);
        if file == "ipv4/ip_forward" {
            written.doing("set", file)?;
        }
    }
    let _ = std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/send_redirects"), "0");
    netlink.up(bridge).doing("bring up", name)?;
    Ok(bridge)
}

/// The bridge's hardware address, of the gateway's as those of containers are of theirs.
fn hardware_address(network: &UserNetwork) -> MacAddress {
    let [a, b, c, d] = match network.subnets.first().map(|subnet| subnet.gateway) {
        Some(IpAddr::V4(ip)) => ip.octets(),
        _ => [0, 0, 0, 1],
    };
    MacAddress::local([0x02, 0x42, a, b, c, d])
}

fn bound(address: IpAddr, kind: SockType) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if kind == SockType::Stream {
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, DNS_PORT)))?;
    if kind == SockType::Stream {
        listen(&fd, Backlog::MAXCONN)?;
    }
    Ok(fd)
}
