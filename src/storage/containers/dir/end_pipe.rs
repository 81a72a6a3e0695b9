//! The FIFO that hangs up when a run is over.
//!
//! Theory of operation. To wait for the end of a run, one needs something to poll(2) that is cheap to close
//! (closing an inotify watch takes an SRCU grace period, 6 to 20 ms) and signals the end however the run ends.
//! That is a FIFO next to the attach socket, `<runtime>/c/<12 digits>.end`: the monitor holds it open for
//! writing from before it records the run until the exit is recorded and, with `--rm`, the directory is in the
//! trash. Nobody writes to it. A process that opens it for reading and then finds no exit in the records is
//! woken by the hang-up, also if the monitor is killed.
//!
//! A reader only notices writers that existed when it opened the FIFO, or came later (fifo(7)). So the name is
//! removed before the FIFO is closed, and with `--rm` before the directory goes: a process that could still open it by name is notified. A FIFO left by a
//! killed monitor is reused by the next one, so that processes waiting on it wait for the end of the next run.
//!
//! If the runtime directory was wiped, or the monitor is of an earlier version, there is no FIFO, and a
//! directory watch is used instead (see `watch`).

use super::{ContainerDir, socket_path};
use crate::container::ContainerId;
use crate::storage::place;
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, mkfifoat, unlinkat};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The monitor's side: while it is held, the run is not over.
#[derive(Debug)]
pub struct EndPipe {
    folder: OwnedFd,
    name: String,
    _fifo: OwnedFd,
}

impl Drop for EndPipe {
    fn drop(&mut self) {
        // The FIFO itself is closed after this.
        let _ = unlinkat(&self.folder, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}

impl ContainerDir {
    /// Where the FIFO is, while there is one.
    fn end_path(&self) -> PathBuf {
        end_path(&self.runtime, &self.id)
    }

    /// Makes and holds the FIFO of a run that begins. A run without one is waited for by other means.
    pub fn hold_end(&self) -> Option<EndPipe> {
        let folder = self.socket_dir().ok()?;
        let name = self.end_path().file_name()?.to_str()?.to_owned();
        match mkfifoat(&folder, name.as_str(), Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(_) => return None,
        }
        // For both: to open it for writing alone needs a reader.
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
        let fifo = open_within(&folder, name.as_str(), flags, ResolveFlag::RESOLVE_NO_SYMLINKS).ok()?;
        is_fifo(&fifo).then_some(EndPipe { folder, name, _fifo: fifo })
    }

    /// Opens the FIFO for one who waits.
    pub(in crate::storage::containers) fn open_end(&self) -> Option<OwnedFd> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        open(&self.end_path(), flags, Mode::empty()).ok().filter(is_fifo)
    }
}

/// Where a container's FIFO is.
pub(super) fn end_path(runtime: &Path, id: &ContainerId) -> PathBuf {
    socket_path(runtime, id).with_extension("end")
}

fn is_fifo(fd: &OwnedFd) -> bool {
    fstat(fd).is_ok_and(|status| place::is(&status, SFlag::S_IFIFO))
}
