//! A network's directory below the runtime directory: the keeper's socket and two locks.

use crate::fork::{Doing, Failure, Link};
use crate::spec::bridge::UserNetwork;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open, openat};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{Mode, mkdirat};
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The keeper's socket, in the network's directory.
pub(super) const ENTRANCE: &str = "keeper";
/// The lock of who starts a keeper, and of a keeper that ends.
pub(super) const LOCK: &str = "lock";
/// The lock that members share.
pub(super) const MEMBERS: &str = "members";
/// Digits of a network's id that its directory is called by.
const DIGITS: usize = 32;

/// Locks a file of the network's directory.
pub(super) fn lock(dir: BorrowedFd<'_>, name: &str, how: FlockArg) -> nix::Result<Flock<File>> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)?;
    Flock::lock(file, how).map_err(|(_, errno)| errno)
}

/// The network's directory, made if it is not there.
pub(super) fn directory(runtime: &Path, network: &UserNetwork) -> Result<OwnedFd, Failure> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut dir = open(runtime, flags, Mode::empty()).doing("open", runtime)?;
    for name in ["networks", network.id.get(..DIGITS).unwrap_or(&network.id)] {
        match mkdirat(&dir, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(Failure::new("make", name, e)),
        }
        dir = openat(&dir, name, flags, Mode::empty()).doing("open", name)?;
    }
    Ok(dir)
}

/// The address of the keeper's socket. A socket's path is short, so it goes by the descriptor.
pub(super) fn address(dir: BorrowedFd<'_>) -> nix::Result<UnixAddr> {
    UnixAddr::new(format!("/proc/self/fd/{}/{ENTRANCE}", dir.as_raw_fd()).as_str())
}

pub(super) fn dial(dir: BorrowedFd<'_>) -> nix::Result<Link> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(fd.as_raw_fd(), &address(dir)?)?;
    Ok(Link::from_fd(fd))
}
