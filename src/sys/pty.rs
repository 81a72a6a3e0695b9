//! Pseudo-terminals: opening the far end by descriptor, window sizes.

use super::fd::owned;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Opens the terminal side of a pty by its master (`TIOCGPTPEER`), never by path: `/dev/pts/N` in a
/// container may be anything (attack case 18).
///
/// # Errors
/// Those of ioctl_tty(2).
pub fn peer(master: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: takes integers only.
    let fd = Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER as _, flags) })?;
    Ok(owned(fd))
}

/// Unlocks a pty's terminal side (`TIOCSPTLCK`).
///
/// # Errors
/// Those of ioctl_tty(2).
pub fn unlock(master: BorrowedFd<'_>) -> nix::Result<()> {
    let zero: libc::c_int = 0;
    // SAFETY: the pointer is to a live integer.
    Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK as _, &raw const zero) })
        .map(drop)
}

/// Makes this the controlling terminal of a session leader.
///
/// # Errors
/// `EPERM` when the process leads no session.
pub fn make_controlling(terminal: BorrowedFd<'_>) -> nix::Result<()> {
    // SAFETY: takes integers only.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY as _, 0) }).map(drop)
}

/// A terminal's size in rows and columns of characters.
///
/// # Errors
/// `ENOTTY` when it is no terminal.
pub fn size(terminal: BorrowedFd<'_>) -> nix::Result<(u16, u16)> {
    // SAFETY: winsize is plain old data.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live winsize.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ as _, &raw mut size) })?;
    Ok((size.ws_row, size.ws_col))
}

/// Sets a terminal's size; its foreground process group gets `SIGWINCH`.
///
/// # Errors
/// `ENOTTY` when it is no terminal.
pub fn set_size(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> nix::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointer is to a live winsize.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) })
        .map(drop)
}
