//! What connects a network to the outside: slirp4netns, as a neighbour on its bridge.
//!
//! Theory of operation. The tap of slirp4netns is one more port of the bridge. It has a small range of its own, in which
//! the bridge has an address too, and everything that goes outside is routed there. Of the containers' ranges it needs to
//! know nothing: it asks by ARP and neighbour discovery for whom it has an answer, as for anybody else. So a network can have
//! any range and any gateway, and there is no translation of addresses but slirp4netns' own.

use super::namespace::Namespace;
use super::outside::{OWN6, range};
use crate::fork::{Doing, Failure};
use crate::netns::attempts::Attempts;
use crate::netns::slirp::{self, Slirp};
use crate::spec::bridge::UserNetwork;
use crate::spec::network::SlirpOptions;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

#[derive(Debug)]
pub(super) struct Uplink {
    slirp: Slirp,
    program: PathBuf,
    options: SlirpOptions,
    attempts: Attempts,
}

impl Uplink {
    /// Starts it; nothing is waited for.
    ///
    /// # Errors
    /// A failed system call.
    pub(super) fn start(
        network: &UserNetwork,
        program: PathBuf,
        namespace: &Namespace,
    ) -> Result<Uplink, Failure> {
        let options = SlirpOptions {
            mtu: network.mtu().clamp(68, 65521),
            cidr: range(network),
            ipv6: network.has_ipv6(),
            ..SlirpOptions::default()
        };
        let slirp = slirp::start(&program, &options, slirp::Configure::Nothing, namespace.fd.as_fd())?;
        Ok(Uplink { slirp, program, options, attempts: Attempts::first() })
    }

    /// Readable when it is ready, or has failed.
    pub(super) fn ready(&self) -> BorrowedFd<'_> {
        self.slirp.ready()
    }

    /// Readable when it has ended.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.slirp.pidfd()
    }

    /// Connects it, once it is ready.
    ///
    /// # Errors
    /// Why it is not, or what the kernel refuses.
    pub(super) fn connect(&self, namespace: &Namespace) -> Result<(), Failure> {
        self.slirp.wait_ready()?;
        let Namespace { netlink, bridge, .. } = namespace;
        let tap = netlink.index(slirp::INTERFACE).doing("find", slirp::INTERFACE)?;
        let whole = |name: &'static str| move || format!("the network's {name}");
        netlink.set_mtu(tap, self.options.mtu).doing("set", whole("mtu")())?;
        netlink.join(tap, *bridge).doing("connect", whole("uplink")())?;
        netlink.up(tap).doing("bring up", whole("uplink")())?;
        let cidr = self.options.cidr;
        netlink
            .add_address(*bridge, self.options.neighbour().into(), cidr.prefix())
            .doing("give", whole("uplink an address")())?;
        let route = |gateway: IpAddr| match netlink.add_route(None, gateway, *bridge, None) {
            // Of the one that came before.
            Err(nix::errno::Errno::EEXIST) => Ok(()),
            other => other.doing("set", whole("route")()),
        };
        route(self.options.gateway().into())?;
        if self.options.ipv6 {
            netlink.add_address(*bridge, OWN6.into(), 64).doing("give", whole("uplink an address")())?;
            route(self.options.gateway6().into())?;
        }
        Ok(())
    }

    /// Another one, after its end; `None` when too many have died at once.
    ///
    /// # Errors
    /// Those of a start.
    pub(super) fn again(
        self,
        network: &UserNetwork,
        namespace: &Namespace,
    ) -> Result<Option<Uplink>, Failure> {
        let Some(attempts) = self.attempts.again() else { return Ok(None) };
        let next = Uplink::start(network, self.program, namespace)?;
        Ok(Some(Uplink { attempts, ..next }))
    }
}
