//! System calls that a seccomp filter leaves to this process (seccomp_unotify(2)).

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The descriptor that such system calls are read from.
#[derive(Debug)]
pub struct Calls(OwnedFd);

/// A system call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// What the answer names it by.
    pub id: u64,
    /// The calling thread, as this process numbers it.
    pub thread: i32,
    /// Which system call.
    pub number: libc::c_long,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl Calls {
    /// From the descriptor of a filter that was installed with one.
    pub fn new(fd: OwnedFd) -> Calls {
        Calls(fd)
    }

    /// Takes the next one, and waits for it.
    ///
    /// # Errors
    /// `ENOENT` when the caller has been interrupted or killed meanwhile; `EINTR`.
    pub fn take(&self) -> nix::Result<Call> {
        // SAFETY: plain old data, which the kernel wants to be all zero.
        let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the structure is valid for the call, which fills it.
        Errno::result(unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked)
        })?;
        Ok(Call {
            id: asked.id,
            thread: asked.pid.cast_signed(),
            number: asked.data.nr.into(),
            arguments: asked.data.args,
        })
    }

    /// Whether the caller still waits, and is thus still the thread of this number.
    pub fn waits(&self, id: u64) -> bool {
        // SAFETY: passes a pointer to a number, which the call only reads.
        let result =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) };
        result == 0
    }

    /// Has the kernel do what was asked for.
    ///
    /// # Errors
    /// `ENOENT` when the caller no longer waits.
    pub fn let_through(&self, id: u64) -> nix::Result<()> {
        self.send(id, 0, u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1))
    }

    /// Has the call return 0, or this failure.
    ///
    /// # Errors
    /// As there.
    pub fn answer(&self, id: u64, result: nix::Result<()>) -> nix::Result<()> {
        self.send(id, result.map_or_else(|e| -(e as i32), |()| 0), 0)
    }

    fn send(&self, id: u64, error: i32, flags: u32) -> nix::Result<()> {
        let mut answer = libc::seccomp_notif_resp { id, val: 0, error, flags };
        // SAFETY: the structure is valid for the call.
        Errno::result(unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer)
        })
        .map(drop)
    }

    /// Puts a copy of a descriptor over the caller's of this number, as dup3(2) would.
    ///
    /// # Errors
    /// As there; `EBADF`, `EMFILE` as dup3(2).
    pub fn put(&self, id: u64, fd: BorrowedFd<'_>, number: u32, close_on_exec: bool) -> nix::Result<()> {
        let mut order = libc::seccomp_notif_addfd {
            id,
            flags: u32::try_from(libc::SECCOMP_ADDFD_FLAG_SETFD).unwrap_or(1),
            srcfd: fd.as_raw_fd().unsigned_abs(),
            newfd: number,
            newfd_flags: if close_on_exec { libc::O_CLOEXEC.unsigned_abs() } else { 0 },
        };
        // SAFETY: the structure is valid for the call.
        Errno::result(unsafe {
            libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut order)
        })
        .map(drop)
    }
}

impl AsFd for Calls {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
