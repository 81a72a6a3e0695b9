//! A container's port of a network.
//!
//! Theory of operation. The pair of interfaces is made in the container's namespace, with its other end in the network's.
//! That end becomes a port of the bridge which takes packets from the container's hardware address alone, and the bridge
//! answers who has which address. What a container claims of addresses from its own hardware address is not kept from
//! its neighbours: who may send any packet can do that. The pair
//! goes with either namespace, so nothing has to be taken away at the end. A helper does it, with a netlink socket of
//! each namespace.

use super::message::Place;
use crate::fork::{self, Doing, Failure, Link, Step};
use crate::netns::netlink::{Index, Netlink};
use crate::spec::bridge::{Attached, NetworkRoute, UserNetwork};
use crate::sys::fd::close_all_but;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// What an interface is made with, besides its place.
#[derive(Debug)]
pub(super) struct Interface<'a> {
    pub(super) network: &'a UserNetwork,
    pub(super) place: &'a Place,
    /// Whether what is for everywhere goes out by it.
    pub(super) is_way_out: bool,
}

/// Connects a container to a network.
///
/// # Errors
/// What the kernel refuses.
pub(super) fn plug(
    interface: &Interface<'_>,
    namespace: BorrowedFd<'_>,
    container: BorrowedFd<'_>,
) -> Result<(), Failure> {
    in_helper(&[namespace, container], || {
        setns(namespace, CloneFlags::CLONE_NEWNET).doing("enter", "the network's namespace")?;
        let network = Netlink::open().doing("open", "a netlink socket")?;
        let inside = &enter(container)?;
        let name = interface.place.attached.interface.as_str();
        connect(interface, &network, inside, namespace).inspect_err(|_| {
            if let Ok(index) = inside.index(name) {
                let _ = inside.remove(index);
            }
        })
    })
}

/// Takes a container's interface away, and with it its port.
///
/// # Errors
/// What the kernel refuses; an interface that is gone is no failure.
pub(super) fn unplug(name: &str, container: BorrowedFd<'_>) -> Result<(), Failure> {
    in_helper(&[container], || {
        let inside = enter(container)?;
        match inside.index(name) {
            Ok(index) => inside.remove(index).doing("take away", name),
            Err(Errno::ENODEV) => Ok(()),
            Err(e) => Err(Failure::new("find", name, e)),
        }
    })
}

/// Sets the routes for what is nowhere else by way of a network that the container is connected to.
///
/// # Errors
/// What the kernel refuses.
pub(super) fn lead_out(attached: &Attached, container: BorrowedFd<'_>) -> Result<(), Failure> {
    in_helper(&[container], || {
        let inside = enter(container)?;
        let name = attached.interface.as_str();
        let index = inside.index(name).doing("find", name)?;
        attached.addresses.iter().try_for_each(|has| route(&inside, None, has.gateway, index, None))
    })
}

/// Goes into the container's network.
fn enter(container: BorrowedFd<'_>) -> Result<Netlink, Failure> {
    setns(container, CloneFlags::CLONE_NEWNET).doing("enter", "the container's network")?;
    Netlink::open().doing("open", "a netlink socket")
}

fn in_helper(
    namespaces: &[BorrowedFd<'_>],
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let helper = fork::spawn(0, |link: Link| {
        let run = || {
            let kept: Vec<BorrowedFd<'_>> = namespaces.iter().copied().chain([link.as_fd()]).collect();
            close_all_but(&kept).doing("close", "descriptors")?;
            nix::sys::prctl::set_dumpable(false).doing("forbid", "tracing")?;
            work()
        };
        // A parent that is gone asks no more.
        run().map_or_else(|failure: Failure| i32::from(link.send(&failure, &[]).is_ok()), |()| 0)
    })
    .doing(Step::Start, "a helper")?;
    let failure = helper.link.recv::<Failure>().doing("hear from", "a helper")?;
    helper.wait().doing("wait for", "a helper")?;
    failure.map_or(Ok(()), |(failure, _)| Err(failure))
}

fn connect(
    interface: &Interface<'_>,
    network: &Netlink,
    inside: &Netlink,
    namespace: BorrowedFd<'_>,
) -> Result<(), Failure> {
    let Interface { network: of, place, is_way_out } = interface;
    let attached = &place.attached;
    let name = attached.interface.as_str();
    crate::netns::loopback_up().doing("bring up", "the container's loopback")?;
    let index = inside
        .add_pair((name, &attached.mac), &place.port, namespace, of.mtu())
        .doing("make interface", name)?;
    let port = network.index(&place.port).doing("find", place.port.as_str())?;
    network.join(port, place.bridge).doing("connect", name)?;
    network.guard(port).doing("guard", name)?;
    if of.is_isolated() {
        network.isolate(port).doing("isolate", name)?;
    }
    network.pin(port, &attached.mac).doing("guard", name)?;
    for has in &attached.addresses {
        network.add_neighbour(place.bridge, has.address, &attached.mac).doing("announce", name)?;
    }
    network.up(port).doing("bring up", name)?;
    // What slirp4netns tells about routers is for its own range (RFC 4861); a kernel without IPv6 lacks the file.
    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_ra"), "0");
    for has in &attached.addresses {
        inside.add_address(index, has.address, has.prefix).doing("give an address to", name)?;
    }
    inside.up(index).doing("bring up", name)?;
    if *is_way_out {
        for has in &attached.addresses {
            route(inside, None, has.gateway, index, None)?;
        }
    }
    for NetworkRoute { destination, gateway, metric } in &of.routes {
        let to = (destination.network(), destination.prefix_len());
        route(inside, Some(to), *gateway, index, *metric)?;
    }
    Ok(())
}

fn route(
    inside: &Netlink,
    to: Option<(IpAddr, u8)>,
    gateway: IpAddr,
    index: Index,
    metric: Option<u32>,
) -> Result<(), Failure> {
    match inside.add_route(to, gateway, index, metric) {
        // The network that came before has it.
        Err(Errno::EEXIST) => Ok(()),
        other => other.doing("set a route by", gateway.to_string()),
    }
}
