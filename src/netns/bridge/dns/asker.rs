//! Whom an answer goes to.

use std::net::SocketAddr;

/// Who is to have an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// Who has sent a datagram to this door.
    Datagram(usize, SocketAddr),
    /// The stream of this number.
    Stream(u64),
}
