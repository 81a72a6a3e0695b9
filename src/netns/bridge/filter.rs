//! What a network's bridge takes from its ports, by nftables.
//!
//! Theory of operation. A port takes packets from its container's hardware address alone ([`Netlink::guard`]), but what a
//! packet says of addresses is not looked at: a container that may send any packet could claim its neighbour's address
//! (ARP and neighbour discovery trust everybody), or send in its name. So one chain of the bridge family, before the bridge
//! learns or forwards anything, compares: who sends as, or claims, an address of the network's ranges must be the one who
//! has been given it. The keeper keeps the pairs of hardware address and address in two sets. Addresses outside these ranges are
//! not looked at, so a container may be a router or have further ones. Routers are not announced, and frames of
//! other protocols, tagged ones among them, go nowhere.
//!
//! The network's namespace belongs to the user, and so do its tables: root is not needed. A kernel without nftables
//! leaves the network as it is without. There is no crate for the few messages that it takes; they are written here as
//! the kernel's `linux/netfilter/nf_tables.h` has them, and nft(8) shows the result:
//!
//! ```text
//! table bridge coracle {
//!     set members4 { type ether_addr . ipv4_addr; }
//!     set members6 { type ether_addr . ipv6_addr; }
//!     chain ports {
//!         type filter hook prerouting priority filter; policy accept;
//!         iifname "tap0" accept
//!         ether type arp arp saddr ip 10.89.0.0/24 arp saddr ether . arp saddr ip != @members4 drop
//!         ...
//! ```
//!
//! [`Netlink::guard`]: crate::netns::netlink::Netlink::guard

mod message;
mod rules;

use crate::netns::{netlink, slirp};
use crate::spec::mac::MacAddress;
use ipnet::IpNet;
use message::{Batch, Kind, flag, string};
use nix::errno::Errno;
use nix::sys::socket::SockProtocol;
use rules::{MEMBERS4, MEMBERS6, Rule};
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// The table and its chain.
const TABLE: &str = "coracle";
const CHAIN: &str = "ports";
/// Bytes of a hardware address in a key, which consists of whole registers.
const MAC_WIDTH: usize = 8;

/// A conversation with the kernel about the filter of one network namespace.
#[derive(Debug)]
pub(super) struct Filter(OwnedFd);

impl From<OwnedFd> for Filter {
    fn from(fd: OwnedFd) -> Filter {
        Filter(fd)
    }
}

impl From<Filter> for OwnedFd {
    fn from(filter: Filter) -> OwnedFd {
        filter.0
    }
}

impl Filter {
    /// Opens one for this thread's namespace.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` where the kernel has none.
    pub(super) fn open() -> nix::Result<Filter> {
        netlink::open(SockProtocol::NetlinkNetFilter).map(Filter)
    }

    /// Makes the chain, for these ranges. Nobody is a member yet.
    ///
    /// # Errors
    /// What the kernel refuses; nothing is made then.
    pub(super) fn make(&self, ranges: &[IpNet]) -> nix::Result<()> {
        let mut batch = Batch::new();
        batch.add(Kind::NewTable, flag::CREATE, |m| m.attribute(1, &string(TABLE)));
        // What nft(8) calls the keys: ether_addr (9) and, six bits lower, ipv4_addr (7) or ipv6_addr (8).
        let sets = [(MEMBERS4, MAC_WIDTH + 4, 9 << 6 | 7), (MEMBERS6, MAC_WIDTH + 16, 9 << 6 | 8)];
        for (id, (set, key, kind)) in sets.into_iter().enumerate() {
            batch.add(Kind::NewSet, flag::CREATE, |m| {
                m.attribute(1, &string(TABLE));
                m.attribute(2, &string(set));
                m.number(3, 0);
                m.number(4, kind);
                m.number(5, key as u32);
                m.number(10, id as u32 + 1);
            });
        }
        batch.add(Kind::NewChain, flag::CREATE, |m| {
            m.attribute(1, &string(TABLE));
            m.attribute(3, &string(CHAIN));
            m.nested(4, |hook| {
                // NF_BR_PRE_ROUTING; before translation, of which there is none.
                hook.number(1, 0);
                hook.number(2, -200i32 as u32);
            });
            m.number(5, 1);
            m.attribute(7, &string("filter"));
        });
        for rule in Rule::all(slirp::INTERFACE, ranges) {
            batch.add(Kind::NewRule, flag::CREATE | flag::APPEND, |m| {
                m.attribute(1, &string(TABLE));
                m.attribute(2, &string(CHAIN));
                m.nested(4, |list| rule.write(list));
            });
        }
        self.send(batch)
    }

    /// Lets who has this hardware address be who has these addresses.
    ///
    /// # Errors
    /// `ENOENT` where there is no filter.
    pub(super) fn admit(&self, mac: &MacAddress, all: &[IpAddr]) -> nix::Result<()> {
        self.change(Kind::NewElement, flag::CREATE, mac, all)
    }

    /// Takes that back.
    ///
    /// # Errors
    /// `ENOENT` when it was not so.
    pub(super) fn dismiss(&self, mac: &MacAddress, address: IpAddr) -> nix::Result<()> {
        self.change(Kind::DelElement, 0, mac, &[address])
    }

    fn change(&self, kind: Kind, flags: u16, mac: &MacAddress, all: &[IpAddr]) -> nix::Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        all.iter().for_each(|address| Filter::element(&mut batch, kind, flags, mac, *address));
        self.send(batch)
    }

    fn element(batch: &mut Batch, kind: Kind, flags: u16, mac: &MacAddress, address: IpAddr) {
        let mut key = mac.bytes().to_vec();
        key.resize(MAC_WIDTH, 0);
        let set = match address {
            IpAddr::V4(ip) => {
                key.extend(ip.octets());
                MEMBERS4
            }
            IpAddr::V6(ip) => {
                key.extend(ip.octets());
                MEMBERS6
            }
        };
        batch.add(kind, flags, |m| {
            m.attribute(1, &string(TABLE));
            m.attribute(2, &string(set));
            m.nested(3, |list| list.nested(1, |one| one.nested(1, |data| data.attribute(1, &key))));
        });
    }

    /// Sends a batch, all of which happens or nothing, and waits for its end.
    fn send(&self, batch: Batch) -> nix::Result<()> {
        let (bytes, last) = batch.end();
        netlink::send(&self.0, &bytes)?;
        let mut buffer = vec![0u8; netlink::ANSWER_MAX];
        let mut first_error = Ok(());
        loop {
            for (number, errno) in message::answers(netlink::receive(&self.0, &mut buffer)?) {
                if errno != 0 && first_error.is_ok() {
                    first_error = Err(Errno::from_raw(errno));
                }
                // A batch that is refused as a whole is answered with the number of its begin.
                if number == last || number == 0 {
                    return first_error;
                }
            }
        }
    }
}
