//! What a TCP connection carries: two streams of bytes that end independently, moved by splice(2).

use super::end::{End, ROUNDS, Share};
use super::pipes::{Pipe, Pool};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::sys::socket::{setsockopt, sockopt};
use std::os::fd::OwnedFd;

/// Bytes that one splice takes at most.
const CHUNK: usize = 1 << 20;
/// A client that has vanished is noticed after this many seconds of silence ...
const KEEPALIVE_IDLE: u32 = 60;
/// ... and this many unanswered probes, fifteen seconds apart.
const KEEPALIVE_PROBES: u32 = 4;

/// Bytes in one direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) pipe: Option<Pipe>,
    /// Bytes in the pipe.
    pub(super) held: usize,
    /// The source has said that no more comes.
    ended: bool,
    /// The receiver has been notified.
    pub(super) done: bool,
}

impl Flow {
    /// Moves bytes until one side has to wait or its share is used up.
    ///
    /// The pipe is filled only when it is empty: then `EAGAIN` can only mean that the source has nothing.
    pub(super) fn carry(&mut self, from: &mut End, to: &mut End, pool: &mut Pool) -> nix::Result<Share> {
        if self.done {
            return Ok(Share::Waits);
        }
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
        for _ in 0..ROUNDS {
            if self.held == 0 && !self.ended && from.readable && to.writable {
                let pipe = match self.pipe.take() {
                    Some(pipe) => pipe,
                    None => match pool.take() {
                        Ok(pipe) => pipe,
                        Err(_) => return Ok(Share::NoPipe),
                    },
                };
                let got = splice(&from.fd, None, &pipe.write, None, CHUNK, flags);
                self.pipe = Some(pipe);
                match got {
                    Ok(0) => self.ended = true,
                    Ok(count) => self.held = count,
                    Err(Errno::EAGAIN) => from.readable = false,
                    Err(Errno::EINTR) => continue,
                    Err(e) => return Err(e),
                }
            }
            if self.held > 0
                && to.writable
                && let Some(pipe) = &self.pipe
            {
                match splice(&pipe.read, None, &to.fd, None, self.held, flags) {
                    Ok(count) => self.held -= count,
                    Err(Errno::EAGAIN) => to.writable = false,
                    Err(Errno::EINTR) => {}
                    Err(e) => return Err(e),
                }
            }
            if self.held == 0 {
                if self.ended {
                    self.give_back(pool);
                    self.done = true;
                    return to.tell().map(|()| Share::Waits);
                }
                if !from.readable || !to.writable {
                    self.give_back(pool);
                    return Ok(Share::Waits);
                }
            } else if !to.writable {
                return Ok(Share::Waits);
            }
        }
        Ok(Share::UsedUp)
    }

    fn give_back(&mut self, pool: &mut Pool) {
        if let Some(pipe) = self.pipe.take() {
            pool.give(pipe);
        }
    }
}

/// Small writes are passed on at once, and a client that vanished is noticed.
pub(super) fn prepare_client(fd: &OwnedFd) -> nix::Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
    setsockopt(fd, sockopt::TcpNoDelay, &true)?;
    setsockopt(fd, sockopt::KeepAlive, &true)?;
    setsockopt(fd, sockopt::TcpKeepIdle, &KEEPALIVE_IDLE)?;
    setsockopt(fd, sockopt::TcpKeepInterval, &15)?;
    setsockopt(fd, sockopt::TcpKeepCount, &KEEPALIVE_PROBES)
}
