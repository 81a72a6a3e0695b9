//! Terminals of a container.
//!
//! Theory of operation. The master is opened from the container's `/dev/ptmx`, so that the terminal is one of the
//! devpts that is seen inside, be it the host's, mounted there with its `/dev`. Whoever is inside may have put
//! anything there: it is looked at before it is opened, and must be the terminal multiplexer. The other side comes
//! from the master (`TIOCGPTPEER`), never by a path (attack case 18). See pts(4).

use crate::fork::{Doing, Failure};
use crate::runtime::files::{self, is};
use crate::sys::pty;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat, major, minor};
use nix::unistd::fchown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The device number of the multiplexer, in devpts as well.
const PTMX: (u64, u64) = (5, 2);

/// A new terminal for `uid`: master and terminal side.
///
/// # Errors
/// The failed step.
pub(in crate::runtime) fn open(root: BorrowedFd<'_>, uid: u32) -> Result<(OwnedFd, OwnedFd), Failure> {
    let path = Path::new("/dev/ptmx");
    let looked = files::open_in(root, path, OFlag::O_PATH).doing("open", path)?;
    check(looked.as_fd(), path)?;
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let master = files::open_in(root, path, flags).doing("open", path)?;
    check(master.as_fd(), path)?;
    fcntl(&master, FcntlArg::F_SETFL(OFlag::O_RDWR)).doing("open", path)?;
    pty::unlock(master.as_fd()).doing("unlock", "the terminal")?;
    let slave = pty::peer(master.as_fd()).doing("open", "the terminal")?;
    match fchown(&slave, Some(uid.into()), None) {
        // The host's, whose group does not exist inside.
        Err(Errno::EPERM) => {}
        other => other.doing("give away", "the terminal")?,
    }
    Ok((master, slave))
}

fn check(found: BorrowedFd<'_>, path: &Path) -> Result<(), Failure> {
    let status = fstat(found).doing("look at", path)?;
    let number = (major(status.st_rdev), minor(status.st_rdev));
    match is(&status, SFlag::S_IFCHR) && number == PTMX {
        true => Ok(()),
        false => Err(Failure::other("open", path.to_string_lossy(), "it is not the terminal multiplexer")),
    }
}
