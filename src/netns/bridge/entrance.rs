//! A network's directory below the runtime directory: the keeper's socket and two locks.

use super::message::Told;
use crate::fork::{Doing, Failure, Link, Step};
use crate::spec::bridge::UserNetwork;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, open, openat, renameat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The keeper's socket, in the network's directory.
pub(super) const ENTRANCE: &str = "keeper";
/// The lock of who starts a keeper, and of a keeper that ends.
pub(super) const LOCK: &str = "lock";
/// The lock that members share.
pub(super) const MEMBERS: &str = "members";
/// The servers that the network asks, in the network's directory.
const SERVERS: &str = "servers";
/// Most of that file that is read, in bytes.
const SERVERS_MAX: u64 = 64 << 10;
/// Digits of a network's id that its directory is called by.
const DIGITS: usize = 32;
/// How long a keeper may take until it answers: many may come to it at once, and slirp4netns may be starting.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// Locks a file of the network's directory.
pub(super) fn lock(dir: BorrowedFd<'_>, name: &str, how: FlockArg) -> nix::Result<Flock<File>> {
    Flock::lock(open_lock(dir, name)?, how).map_err(|(_, errno)| errno)
}

fn open_lock(dir: BorrowedFd<'_>, name: &str) -> nix::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
}

/// The lock that members share, had. It is the open file's, whichever processes have it.
pub(super) fn share(dir: BorrowedFd<'_>) -> nix::Result<File> {
    let file = open_lock(dir, MEMBERS)?;
    loop {
        match file.lock_shared() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
            Ok(()) => return Ok(file),
        }
    }
}

/// Notes whom the network asks, for keepers that are started by members who know it from before.
pub(super) fn write_servers(dir: BorrowedFd<'_>, servers: &[IpAddr]) -> nix::Result<()> {
    let text: String = servers.iter().map(|server| format!("{server}\n")).collect();
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let new = format!("{SERVERS}.new");
    let mut file = File::from(openat(dir, new.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    file.write_all(text.as_bytes()).map_err(|e| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    renameat(dir, new.as_str(), dir, SERVERS)
}

/// Whom the network asks, where that has changed since it came up first.
pub(super) fn read_servers(dir: BorrowedFd<'_>) -> Option<Vec<IpAddr>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = File::from(openat(dir, SERVERS, flags, Mode::empty()).ok()?);
    let mut bytes = Vec::new();
    file.take(SERVERS_MAX).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.lines().filter_map(|line| line.parse().ok()).collect())
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

/// Removes a network's directory; whether it is gone.
pub(super) fn remove(runtime: &Path, id: &str) -> bool {
    let Ok(above) = above(runtime) else { return true };
    let name = id.get(..DIGITS).unwrap_or(id);
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let Ok(dir) = openat(&above, name, flags, Mode::empty()) else { return true };
    let new = format!("{SERVERS}.new");
    for file in [ENTRANCE, LOCK, MEMBERS, SERVERS, new.as_str()] {
        // What is not there needs no removal; the directory tells of anything else.
        let _ = unlinkat(&dir, file, UnlinkatFlags::NoRemoveDir);
    }
    unlinkat(&above, name, UnlinkatFlags::RemoveDir).is_ok()
}

/// What the directories of networks are called.
pub(super) fn all(runtime: &Path) -> Vec<String> {
    let entries = above(runtime).and_then(|above| {
        nix::dir::Dir::openat(&above, ".", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
    });
    let mut all = Vec::new();
    for entry in entries.into_iter().flat_map(|mut dir| dir.iter().collect::<Vec<_>>()).flatten() {
        all.extend(entry.file_name().to_str().ok().filter(|name| !name.starts_with('.')).map(str::to_owned));
    }
    all
}

/// Whether no member has a network's directory.
pub(super) fn is_deserted(runtime: &Path, name: &str) -> bool {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = above(runtime).and_then(|above| openat(&above, name, flags, Mode::empty()));
    dir.is_ok_and(|dir| lock(dir.as_fd(), MEMBERS, FlockArg::LockExclusiveNonblock).is_ok())
}

/// Where the directories of all networks are.
fn above(runtime: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(&open(runtime, flags, Mode::empty())?, "networks", flags, Mode::empty())
}

/// The address of the keeper's socket. A socket's path is short, so it goes by the descriptor.
pub(super) fn address(dir: BorrowedFd<'_>) -> nix::Result<UnixAddr> {
    UnixAddr::new(format!("/proc/self/fd/{}/{ENTRANCE}", dir.as_raw_fd()).as_str())
}

/// Calls the keeper of another network, without waiting for anything.
pub(super) fn dial_other(own: BorrowedFd<'_>, id: &str) -> nix::Result<Link> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let above = openat(own, "..", flags, Mode::empty())?;
    let id = id.get(..DIGITS).filter(|id| id.bytes().all(|b| b.is_ascii_hexdigit())).ok_or(Errno::EINVAL)?;
    let dir = openat(&above, id, flags, Mode::empty())?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(fd.as_raw_fd(), &address(dir.as_fd())?)?;
    Ok(Link::from_fd(fd))
}

pub(super) fn dial(dir: BorrowedFd<'_>) -> nix::Result<Link> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(fd.as_raw_fd(), &address(dir)?)?;
    Ok(Link::from_fd(fd))
}

/// What the keeper of a network says next; `None` when it has ended.
///
/// # Errors
/// It says nothing for so long.
pub(super) fn hear(
    link: &Link,
    network: &str,
    patience: Duration,
) -> Result<Option<(Told, Vec<OwnedFd>)>, Failure> {
    let mut fds = [PollFd::new(link.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    loop {
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => {}
            Ok(0) => return Err(unreachable(network, "it does not answer")),
            other => break other.map(drop).doing(Step::ReachKeeper, network)?,
        }
    }
    link.recv().doing(Step::ReachKeeper, network)
}

/// A keeper that is not there as it should be.
pub(super) fn unreachable(network: &str, why: &str) -> Failure {
    Failure::other(Step::ReachKeeper, network, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_that_says_nothing_is_not_waited_for_without_end() {
        let (link, other) = Link::pair().unwrap();
        let short = Duration::from_millis(1);
        let failure = hear(&link, "back", short).unwrap_err();
        assert_eq!(failure.step(), Step::ReachKeeper);
        assert_eq!(failure.describe(), "reach the keeper of network back: it does not answer");
        other.send(&Told::Up, &[]).unwrap();
        assert!(matches!(hear(&link, "back", ANSWERS_WITHIN), Ok(Some((Told::Up, _)))));
        drop(other);
        assert!(hear(&link, "back", ANSWERS_WITHIN).unwrap().is_none());
    }
}
