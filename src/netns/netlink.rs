//! Links, addresses, routes and neighbours of a network namespace, by rtnetlink(7).
//!
//! A socket belongs to the namespace in which it was opened, wherever its process goes later. Each request waits for
//! its acknowledgement.

use crate::spec::network::MacAddress;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily as Family, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Bytes of one answer: a dump comes in pieces of at most 32 KiB (netlink(7)).
pub(super) const ANSWER_MAX: usize = 64 << 10;

/// A conversation with the kernel about one network namespace.
#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

/// The number of an interface in its namespace.
pub(super) type Index = u32;

/// A neighbour that the bridge knows for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) address: IpAddr,
    pub(super) mac: Vec<u8>,
}

/// A socket to this part of the kernel, in this thread's namespace.
///
/// # Errors
/// `EPROTONOSUPPORT` where the kernel lacks it; others of socket(2).
pub(super) fn open(protocol: SockProtocol) -> nix::Result<OwnedFd> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
}

/// Sends messages to the kernel.
///
/// # Errors
/// Those of sendto(2).
pub(super) fn send(socket: &OwnedFd, bytes: &[u8]) -> nix::Result<()> {
    sendto(socket.as_raw_fd(), bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty()).map(drop)
}

/// Waits for the next of what the kernel answers; `buffer` has at least [`ANSWER_MAX`] bytes.
///
/// # Errors
/// Those of recv(2).
pub(super) fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> nix::Result<&'a [u8]> {
    loop {
        match recv(socket.as_raw_fd(), buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => {}
            other => return other.map(|length| &buffer[..length]),
        }
    }
}

impl From<OwnedFd> for Netlink {
    fn from(fd: OwnedFd) -> Netlink {
        Netlink(fd)
    }
}

impl From<Netlink> for OwnedFd {
    fn from(netlink: Netlink) -> OwnedFd {
        netlink.0
    }
}

impl Netlink {
    /// Opens one for this thread's namespace.
    ///
    /// # Errors
    /// Those of socket(2).
    pub(super) fn open() -> nix::Result<Netlink> {
        open(SockProtocol::NetlinkRoute).map(Netlink)
    }

    /// The number of an interface.
    ///
    /// # Errors
    /// `ENODEV` when there is none of this name.
    pub(super) fn index(&self, name: &str) -> nix::Result<Index> {
        let mut message = LinkMessage::default();
        message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
        let answers = self.ask(RouteNetlinkMessage::GetLink(message), NLM_F_ACK)?;
        let found = answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(link.header.index),
            _ => None,
        });
        found.ok_or(Errno::ENODEV)
    }

    /// Makes a bridge that is its own only spanning tree. Its hardware address stays as it is whatever ports it gets
    /// and loses: its neighbours remember it.
    ///
    /// # Errors
    /// `EEXIST`; `EOPNOTSUPP` where the kernel has no bridges.
    pub(super) fn add_bridge(&self, name: &str, mac: &MacAddress) -> nix::Result<Index> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Address(mac.bytes().to_vec()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                // Ports forward at once: there are no loops here to be found first.
                LinkInfo::Data(InfoData::Bridge(vec![
                    InfoBridge::ForwardDelay(0),
                    InfoBridge::StpState(0.into()),
                ])),
            ]),
        ];
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)?;
        self.index(name)
    }

    /// Makes a pair of interfaces: one here, the other, `far`, in another namespace.
    ///
    /// # Errors
    /// `EEXIST`; `EOPNOTSUPP` where the kernel has no veth(4).
    pub(super) fn add_pair(
        &self,
        (name, mac): (&str, &MacAddress),
        far: &str,
        far_namespace: BorrowedFd<'_>,
        mtu: u32,
    ) -> nix::Result<Index> {
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            LinkAttribute::IfName(far.to_owned()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::NetNsFd(far_namespace.as_raw_fd()),
        ];
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Address(mac.bytes().to_vec()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)?;
        self.index(name)
    }

    /// Brings an interface up.
    pub(super) fn up(&self, index: Index) -> nix::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.change(RouteNetlinkMessage::NewLink(message), 0)
    }

    /// Sets the longest packet of an interface, in bytes.
    pub(super) fn set_mtu(&self, index: Index, mtu: u32) -> nix::Result<()> {
        self.set(index, vec![LinkAttribute::Mtu(mtu)])
    }

    /// Makes an interface a port of a bridge.
    pub(super) fn join(&self, index: Index, bridge: Index) -> nix::Result<()> {
        self.set(index, vec![LinkAttribute::Controller(bridge)])
    }

    /// Lets a port of a bridge send from the hardware addresses alone that [`Netlink::pin`] names, and has the bridge
    /// answer whose neighbours' hardware addresses it is asked for (bridge(8), `locked`, `neigh_suppress`).
    pub(super) fn guard(&self, port: Index) -> nix::Result<()> {
        let flags = vec![
            InfoBridgePort::Learning(false),
            InfoBridgePort::Locked(true),
            InfoBridgePort::NeighSupress(true),
        ];
        self.set(
            port,
            vec![LinkAttribute::LinkInfo(vec![
                LinkInfo::PortKind(InfoPortKind::Bridge),
                LinkInfo::PortData(InfoPortData::BridgePort(flags)),
            ])],
        )
    }

    /// Keeps the ports of a bridge that are so marked from each other (bridge(8), `isolated`).
    pub(super) fn isolate(&self, port: Index) -> nix::Result<()> {
        self.set(
            port,
            vec![LinkAttribute::LinkInfo(vec![
                LinkInfo::PortKind(InfoPortKind::Bridge),
                LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(true)])),
            ])],
        )
    }

    /// Says which hardware address is behind a port of a bridge.
    pub(super) fn pin(&self, port: Index, mac: &MacAddress) -> nix::Result<()> {
        let mut message = NeighbourMessage::default();
        message.header.family = Family::Bridge;
        message.header.ifindex = port;
        message.header.state = NeighbourState::Noarp;
        message.header.flags = NeighbourFlags::Controller;
        message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.bytes().to_vec())];
        self.change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Says for good which hardware address an address has, behind a bridge.
    pub(super) fn add_neighbour(&self, bridge: Index, address: IpAddr, mac: &MacAddress) -> nix::Result<()> {
        let mut message = neighbour(bridge, address);
        message.header.state = NeighbourState::Permanent;
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.bytes().to_vec()));
        self.change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Takes that back.
    pub(super) fn forget_neighbour(&self, bridge: Index, address: IpAddr) -> nix::Result<()> {
        self.change(RouteNetlinkMessage::DelNeighbour(neighbour(bridge, address)), 0)
    }

    /// What [`Netlink::add_neighbour`] has said.
    pub(super) fn neighbours(&self, bridge: Index) -> nix::Result<Vec<Neighbour>> {
        let answers = self.ask(RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()), NLM_F_DUMP)?;
        let known = |answer| match answer {
            RouteNetlinkMessage::NewNeighbour(message)
                if message.header.ifindex == bridge && message.header.state == NeighbourState::Permanent =>
            {
                Some(message)
            }
            _ => None,
        };
        let read = |message: NeighbourMessage| {
            let mut found = (None, None);
            for attribute in message.attributes {
                match attribute {
                    NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => found.0 = Some(ip.into()),
                    NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => found.0 = Some(ip.into()),
                    NeighbourAttribute::LinkLayerAddress(mac) => found.1 = Some(mac),
                    _ => {}
                }
            }
            Some(Neighbour { address: found.0?, mac: found.1? })
        };
        Ok(answers.into_iter().filter_map(known).filter_map(read).collect())
    }

    /// The hardware addresses that [`Netlink::pin`] has put behind ports which there still are.
    pub(super) fn pinned(&self) -> nix::Result<Vec<Vec<u8>>> {
        let mut message = NeighbourMessage::default();
        message.header.family = Family::Bridge;
        let answers = self.ask(RouteNetlinkMessage::GetNeighbour(message), NLM_F_DUMP)?;
        let of = |answer| match answer {
            RouteNetlinkMessage::NewNeighbour(message) if message.header.state == NeighbourState::Noarp => {
                message.attributes.into_iter().find_map(|attribute| match attribute {
                    NeighbourAttribute::LinkLayerAddress(mac) => Some(mac),
                    _ => None,
                })
            }
            _ => None,
        };
        Ok(answers.into_iter().filter_map(of).collect())
    }

    /// Gives an interface an address, without asking around whether somebody has it: nobody else gives any here.
    pub(super) fn add_address(&self, index: Index, address: IpAddr, prefix: u8) -> nix::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.index = index;
        message.header.prefix_len = prefix;
        message.header.scope = AddressScope::Universe;
        message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        match address {
            IpAddr::V4(four) if prefix < 31 => {
                let all = four.to_bits() | (u32::MAX >> prefix);
                message.attributes.push(AddressAttribute::Broadcast(all.into()));
            }
            IpAddr::V4(_) => {}
            IpAddr::V6(_) => message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad)),
        }
        self.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Sends what goes to a network, or everything else, to a gateway.
    pub(super) fn add_route(
        &self,
        to: Option<(IpAddr, u8)>,
        gateway: IpAddr,
        index: Index,
        metric: Option<u32>,
    ) -> nix::Result<()> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(gateway),
            destination_prefix_length: to.map_or(0, |(_, prefix)| prefix),
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Static,
            scope: RouteScope::Universe,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes = vec![RouteAttribute::Gateway(gateway.into()), RouteAttribute::Oif(index)];
        message.attributes.extend(to.map(|(network, _)| RouteAttribute::Destination(network.into())));
        message.attributes.extend(metric.map(RouteAttribute::Priority));
        self.change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Takes an interface away, and the other end of its pair.
    pub(super) fn remove(&self, index: Index) -> nix::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.change(RouteNetlinkMessage::DelLink(message), 0)
    }

    fn set(&self, index: Index, attributes: Vec<LinkAttribute>) -> nix::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes = attributes;
        self.change(RouteNetlinkMessage::NewLink(message), 0)
    }

    /// Sends a request that changes something.
    ///
    /// # Errors
    /// What the kernel answers.
    pub(super) fn change(&self, message: RouteNetlinkMessage, flags: u16) -> nix::Result<()> {
        self.ask(message, NLM_F_ACK | flags).map(drop)
    }

    /// Sends a request; gives what is answered before its end.
    ///
    /// # Errors
    /// What the kernel answers.
    pub(super) fn ask(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> nix::Result<Vec<RouteNetlinkMessage>> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let mut bytes = vec![0u8; packet.buffer_len()];
        packet.serialize(&mut bytes);
        send(&self.0, &bytes)?;
        let mut answers = Vec::new();
        let mut buffer = vec![0u8; ANSWER_MAX];
        loop {
            let mut rest = receive(&self.0, &mut buffer)?;
            while !rest.is_empty() {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest);
                let message = message.map_err(|_| Errno::EBADMSG)?;
                // Messages begin at multiples of four bytes (netlink(3), NLMSG_ALIGN).
                let taken = (message.header.length as usize).next_multiple_of(4).clamp(4, rest.len());
                rest = &rest[taken..];
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(e) => match e.code {
                        None => return Ok(answers),
                        Some(code) => return Err(Errno::from_raw(-code.get())),
                    },
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    _ => {}
                }
            }
        }
    }
}

fn neighbour(index: Index, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = index;
    message.attributes = vec![NeighbourAttribute::Destination(match address {
        IpAddr::V4(ip) => NeighbourAddress::Inet(ip),
        IpAddr::V6(ip) => NeighbourAddress::Inet6(ip),
    })];
    message
}

fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::Inet } else { Family::Inet6 }
}
