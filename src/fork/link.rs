//! Messages and descriptors between a process and its child.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Largest message on a [`Link`], in bytes.
pub(super) const MESSAGE_MAX: usize = 64 * 1024;
/// Most descriptors in one message.
const FDS_MAX: usize = 16;

/// One end of a close-on-exec `SOCK_SEQPACKET` pair that carries named messages and descriptors.
#[derive(Debug)]
pub struct Link(OwnedFd);

impl Link {
    /// Two connected ends.
    ///
    /// # Errors
    /// Those of socketpair(2).
    pub fn pair() -> nix::Result<(Link, Link)> {
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Link(a), Link(b)))
    }

    /// Wraps one end.
    pub fn from_fd(fd: OwnedFd) -> Link {
        Link(fd)
    }

    /// Sends one message with descriptors.
    ///
    /// # Errors
    /// `EPIPE` when the other end is gone, `EMSGSIZE` above 64 KiB.
    pub fn send<M: Serialize>(&self, message: &M, fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
        let bytes = serde_json::to_vec(message).map_err(|_| Errno::EINVAL)?;
        if bytes.len() > MESSAGE_MAX {
            return Err(Errno::EMSGSIZE);
        }
        self.send_bytes(&bytes, fds)
    }

    pub(super) fn send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
        let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        loop {
            match sendmsg::<()>(
                self.0.as_raw_fd(),
                &[IoSlice::new(bytes)],
                control,
                MsgFlags::MSG_NOSIGNAL,
                None,
            ) {
                Err(Errno::EINTR) => {}
                other => return other.map(drop),
            }
        }
    }

    /// Waits for one message; `None` when the other end is closed.
    ///
    /// # Errors
    /// `EBADMSG` when it is not the expected message.
    pub fn recv<M: DeserializeOwned>(&self) -> nix::Result<Option<(M, Vec<OwnedFd>)>> {
        let (bytes, fds) = self.recv_bytes()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let message = serde_json::from_slice(&bytes).map_err(|_| Errno::EBADMSG)?;
        Ok(Some((message, fds)))
    }

    /// One packet; none at the end of file.
    pub(super) fn recv_bytes(&self) -> nix::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let mut buffer = vec![0u8; MESSAGE_MAX];
        let mut control = cmsg_space!([RawFd; FDS_MAX]);
        let (length, fds) = loop {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.0.as_raw_fd(), &mut slices, Some(&mut control), flags) {
                // ECONNRESET is told once, ahead of what is queued, when the other end closed with
                // messages of ours unread; then come its messages and the end of file.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                Err(e) => return Err(e),
                Ok(message) => break (message.bytes, take_fds(message.cmsgs()?)),
            }
        };
        buffer.truncate(length);
        Ok((buffer, fds))
    }

    /// Whether the other end is closed, whatever it sent before.
    pub fn other_end_is_gone(&self) -> bool {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
        poll(&mut fds, PollTimeout::ZERO).is_ok() && fds[0].revents().is_some_and(|e| e.intersects(gone))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Link> for OwnedFd {
    fn from(link: Link) -> OwnedFd {
        link.0
    }
}

fn take_fds<'a>(messages: impl Iterator<Item = ControlMessageOwned> + 'a) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    for message in messages {
        if let ControlMessageOwned::ScmRights(raw) = message {
            fds.extend(raw.into_iter().map(crate::sys::fd::owned));
        }
    }
    fds
}
