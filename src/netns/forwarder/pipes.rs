//! Pipes for splice(2), shared by all connections: a connection holds one only while it contains data.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use std::os::fd::OwnedFd;

/// Size of a large pipe, in bytes: the kernel's unprivileged maximum (`/proc/sys/fs/pipe-max-size`).
const LARGE: i32 = 1 << 20;
/// How many pipes are made large. The memory of pipes is limited per user (pipe(7)); the others are as
/// small as the kernel makes them.
const LARGE_MAX: usize = 8;
/// How many empty pipes are kept for the next connection.
const SPARE_MAX: usize = 8;

/// An empty pipe, or one with bytes on their way through.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
    large: bool,
}

/// Empty pipes.
#[derive(Debug, Default)]
pub(super) struct Pool {
    spare: Vec<Pipe>,
    large: usize,
}

impl Pool {
    /// An empty pipe.
    ///
    /// # Errors
    /// `EMFILE` or `ENFILE` when none is left.
    pub(super) fn take(&mut self) -> nix::Result<Pipe> {
        if let Some(pipe) = self.spare.pop() {
            return Ok(pipe);
        }
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let large = self.large < LARGE_MAX
            && match fcntl(&write, FcntlArg::F_SETPIPE_SZ(LARGE)) {
                Err(Errno::EPERM) => fcntl(&write, FcntlArg::F_SETPIPE_SZ(LARGE / 4)).is_ok(),
                other => other.is_ok(),
            };
        self.large += usize::from(large);
        Ok(Pipe { read, write, large })
    }

    /// Takes an empty pipe back.
    pub(super) fn give(&mut self, pipe: Pipe) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(pipe);
        } else {
            self.discard(pipe);
        }
    }

    /// Closes a pipe that still holds bytes.
    pub(super) fn discard(&mut self, pipe: Pipe) {
        self.large -= usize::from(pipe.large);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_pipes_are_used_again_and_few_are_large() {
        let mut pool = Pool::default();
        let pipes: Vec<Pipe> = (0..20).map(|_| pool.take().unwrap()).collect();
        assert!(pool.large <= LARGE_MAX);
        pipes.into_iter().for_each(|p| pool.give(p));
        assert_eq!(pool.spare.len(), SPARE_MAX);
        let before = pool.large;
        let pipe = pool.take().unwrap();
        let large = pipe.large;
        pool.discard(pipe);
        assert_eq!(pool.large, before - usize::from(large));
    }
}
