//! UDP: one connected socket inside per client, dropped when idle.
//!
//! A wildcard socket records the host address that a datagram was sent to (`IP_PKTINFO`), and the answer is
//! sent from it; otherwise clients would drop it.

use super::door::{Door, HostSocket};
use super::inside::Inside;
use super::shown::{Guise, Shown};
use super::token::Token;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg};
use nix::{cmsg_space, libc};
use std::collections::{BTreeSet, HashMap};
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Maximum number of clients at once; the one that has been idle longest is dropped.
pub(super) const SESSIONS_MAX: usize = 1024;
/// A client silent for this long is forgotten.
const IDLE: Duration = Duration::from_secs(90);
/// How many datagrams are moved before others get their turn.
const BATCH: usize = 64;
/// Largest UDP datagram, in bytes.
const DATAGRAM_MAX: usize = 65_536;

/// A client as one of our sockets sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Peer {
    /// Which host socket.
    door: usize,
    client: SocketAddr,
    /// The host's address that it wrote to, and the interface for link-local ones.
    local: (IpAddr, u32),
}

#[derive(Debug)]
struct Session {
    peer: Peer,
    socket: UdpSocket,
    guise: Option<Guise>,
    used: Instant,
}

/// All clients.
#[derive(Debug)]
pub(super) struct Sessions {
    all: HashMap<u64, Session>,
    ids: HashMap<Peer, u64>,
    shown: Shown,
    max: usize,
    next: u64,
    buffer: Vec<u8>,
}

impl Sessions {
    /// Room for `max` clients at once of services at these ports.
    pub(super) fn new(max: usize, services: BTreeSet<u16>) -> Self {
        Sessions {
            all: HashMap::new(),
            ids: HashMap::new(),
            shown: Shown::new(services),
            max,
            next: 1,
            buffer: vec![0; DATAGRAM_MAX],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Passes datagrams of clients into the container. What cannot be passed is lost, as UDP allows.
    pub(super) fn receive(&mut self, door: usize, socket: &HostSocket, epoll: &Epoll, inside: &Inside) {
        for _ in 0..BATCH {
            let Some((length, client, local)) = take(socket, &mut self.buffer) else { return };
            let peer = Peer { door, client, local };
            let id = match self.ids.get(&peer) {
                Some(id) => *id,
                None => match self.open(peer, socket.port, epoll, inside) {
                    Ok(id) => id,
                    Err(_) => continue,
                },
            };
            if let Some(session) = self.all.get_mut(&id) {
                session.used = Instant::now();
                // The first error may be the answer to an earlier datagram: nobody listened then.
                if session
                    .socket
                    .send(&self.buffer[..length])
                    .is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
                {
                    let _ = session.socket.send(&self.buffer[..length]);
                }
            }
        }
    }

    /// Passes the container's answers back to the client.
    pub(super) fn answer(&mut self, id: u64, doors: &[Door]) {
        let Some(session) = self.all.get_mut(&id) else { return };
        let Some(Door::Udp(host)) = doors.get(session.peer.door) else { return };
        for _ in 0..BATCH {
            match session.socket.recv(&mut self.buffer) {
                Ok(length) => {
                    session.used = Instant::now();
                    send(host, &self.buffer[..length], &session.peer);
                }
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    /// Forgets clients that have been silent too long.
    pub(super) fn sweep(&mut self) {
        let idle: Vec<u64> =
            self.all.iter().filter(|(_, s)| s.used.elapsed() >= IDLE).map(|(id, _)| *id).collect();
        for id in idle {
            self.close(id);
        }
    }

    fn open(&mut self, peer: Peer, port: u16, epoll: &Epoll, inside: &Inside) -> std::io::Result<u64> {
        if self.all.len() >= self.max
            && let Some(oldest) = self.all.iter().min_by_key(|(_, s)| s.used).map(|(id, _)| *id)
        {
            self.close(oldest);
        }
        let (socket, guise) = self.shown.dial(inside, peer.client, port)?;
        let id = self.next;
        self.next += 1;
        let watched = epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, Token::Session(id).into()));
        self.ids.insert(peer.clone(), id);
        self.all.insert(id, Session { peer, socket, guise, used: Instant::now() });
        if let Err(e) = watched {
            self.close(id);
            return Err(e.into());
        }
        Ok(id)
    }

    fn close(&mut self, id: u64) {
        if let Some(session) = self.all.remove(&id) {
            self.ids.remove(&session.peer);
            if let Some(guise) = session.guise {
                self.shown.forget(guise);
            }
        }
    }
}

/// One datagram: its length, who sent it, and to which of our addresses.
fn take(socket: &HostSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr, (IpAddr, u32))> {
    let mut control = cmsg_space!(libc::in6_pktinfo);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket.fd.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )
    .ok()?;
    let client = std_address(message.address.as_ref()?)?;
    let mut local = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    for info in message.cmsgs().ok()? {
        match info {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                local = (Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr)).into(), 0);
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let interface = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                local = (ip.into(), interface);
            }
            _ => {}
        }
    }
    Some((message.bytes, client, local))
}

/// Answers a client from the address it wrote to.
fn send(socket: &HostSocket, bytes: &[u8], peer: &Peer) {
    let four;
    let six;
    let from = match peer.local {
        (IpAddr::V4(ip), _) => {
            let address = libc::in_addr { s_addr: ip.to_bits().to_be() };
            four = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: address,
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            ControlMessage::Ipv4PacketInfo(&four)
        }
        (IpAddr::V6(ip), interface) => {
            let ipi6_addr = libc::in6_addr { s6_addr: ip.octets() };
            six = libc::in6_pktinfo { ipi6_addr, ipi6_ifindex: interface };
            ControlMessage::Ipv6PacketInfo(&six)
        }
    };
    // A full buffer loses the datagram, as any router would.
    let _ = sendmsg(
        socket.fd.as_raw_fd(),
        &[IoSlice::new(bytes)],
        &[from],
        MsgFlags::MSG_DONTWAIT,
        Some(&SockaddrStorage::from(peer.client)),
    );
}

fn std_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(four) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*four).into());
    }
    address.as_sockaddr_in6().map(|six| SocketAddrV6::from(*six).into())
}
