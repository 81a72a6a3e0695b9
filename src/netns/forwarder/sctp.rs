//! What an SCTP association carries: messages, each passed on whole, in its stream.
//!
//! Theory of operation. A message is received with its stream, its order and its payload protocol identifier, and sent
//! with the same. The association inside asks for as many streams as the client's has, so that each has its
//! counterpart; a message for a stream that the service did not grant breaks both. A long message comes in
//! parts, which are put together, because the kernel sends whole messages only. While a message waits for the
//! receiver nothing more is received, so the sender's window closes.
//!
//! An association ends as a whole: a side that has shut it down takes no more messages, and what the other
//! one still sends is lost, as it would be without us. The end of an association that we have shut down is no event of
//! receiving: recvmsg(2) says `EAGAIN` for ever, so the association itself is asked for.
//!
//! Bounds: a message of [`MESSAGE_MAX`] bytes in each direction of [`ASSOCIATIONS_MAX`] associations. The kernel notices
//! peers that have vanished (heartbeats).

use super::end::{End, ROUNDS, Share};
use crate::sys::sctp::{self, Info, Streams};
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// Most associations at once.
pub(super) const ASSOCIATIONS_MAX: usize = 512;
/// Bytes that are received at a time.
const CHUNK: usize = 1 << 16;
/// Longest message, in bytes: what Linux sends at most, unless a program or its administrator raises that.
/// A longer one breaks its association.
const MESSAGE_MAX: usize = 212_992;

/// Messages in one direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The message on its way.
    message: Vec<u8>,
    info: Info,
    /// All of it is here.
    whole: bool,
    /// The receiver takes no more; what comes is dropped.
    refused: bool,
    /// The source has said that no more comes.
    ended: bool,
    /// The receiver has been notified.
    pub(super) done: bool,
}

impl Flow {
    /// Whether no message waits for the receiver.
    pub(super) fn is_empty(&self) -> bool {
        self.message.is_empty()
    }

    /// Moves messages until one side has to wait or the share is used up.
    pub(super) fn carry(&mut self, from: &mut End, to: &mut End, buffer: &mut Vec<u8>) -> nix::Result<Share> {
        if self.done {
            return Ok(Share::Waits);
        }
        for _ in 0..ROUNDS {
            let takes = to.writable || self.refused;
            if !self.whole && !self.ended && from.readable && (takes || !self.message.is_empty()) {
                self.receive(from, buffer)?;
            }
            if self.whole && to.writable {
                self.send(to)?;
            }
            if self.ended && !self.whole {
                if !self.message.is_empty() {
                    return Err(Errno::ECONNRESET);
                }
                self.done = true;
                return to.tell().map(|()| Share::Waits);
            }
            let goes_on = match (self.whole, self.message.is_empty()) {
                (true, _) => to.writable,
                (false, false) => from.readable,
                (false, true) => from.readable && (to.writable || self.refused),
            };
            if !goes_on {
                if self.message.is_empty() {
                    self.message = Vec::new();
                }
                return Ok(Share::Waits);
            }
        }
        Ok(Share::UsedUp)
    }

    /// Takes a message, or a part of one.
    fn receive(&mut self, from: &mut End, buffer: &mut Vec<u8>) -> nix::Result<()> {
        // Asked for before: what came before the end is received first.
        let gone = from.told && sctp::streams(&from.fd).is_err();
        buffer.resize(CHUNK, 0);
        match sctp::receive(&from.fd, buffer) {
            Ok(part) if part.length == 0 => self.ended = true,
            Ok(_) if self.refused => {}
            Ok(part) => {
                if self.message.len() + part.length > MESSAGE_MAX {
                    return Err(Errno::EMSGSIZE);
                }
                self.message.extend_from_slice(&buffer[..part.length]);
                self.info = part.info;
                self.whole = part.last;
            }
            Err(Errno::EAGAIN) if gone => self.ended = true,
            Err(Errno::EAGAIN) => from.readable = false,
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Sends the message.
    fn send(&mut self, to: &mut End) -> nix::Result<()> {
        match sctp::send(&to.fd, &self.message, self.info) {
            Ok(()) => {}
            // The receiver has shut the association down.
            Err(Errno::EPIPE | Errno::ESHUTDOWN | Errno::ENOTCONN) => self.refused = true,
            Err(Errno::EAGAIN) => {
                to.writable = false;
                return Ok(());
            }
            Err(Errno::EINTR) => return Ok(()),
            Err(e) => return Err(e),
        }
        self.message.clear();
        self.whole = false;
        Ok(())
    }
}

/// Has a client's messages come with their stream; says how many streams the container's side is to ask for.
///
/// # Errors
/// Those of setsockopt(2).
pub(super) fn prepare_client(fd: &OwnedFd) -> nix::Result<Streams> {
    sctp::prepare(fd)?;
    // An association that has ended already, with messages to be received, has no streams any more.
    let theirs = sctp::streams(fd).unwrap_or_default();
    Ok(Streams { out: theirs.inward, inward: theirs.out })
}
