//! The listening sockets on the host.

use crate::spec::network::Protocol;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A host socket.
pub(super) enum Door {
    /// Accepts connections of this protocol for this container port; accept(2) is the same for TCP and SCTP.
    Connections(TcpListener, u16, Protocol),
    /// Gets datagrams for this container port.
    Udp(HostSocket),
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Door::Connections(listener, ..) => listener.as_fd(),
            Door::Udp(socket) => socket.as_fd(),
        }
    }
}

/// A UDP socket on the host.
#[derive(Debug)]
pub(super) struct HostSocket {
    pub(super) fd: OwnedFd,
    pub(super) port: u16,
}

impl HostSocket {
    /// Datagrams that arrive at `fd` go to this port of the container.
    pub(super) fn new(fd: OwnedFd, port: u16) -> Self {
        HostSocket { fd, port }
    }
}

impl AsFd for HostSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
