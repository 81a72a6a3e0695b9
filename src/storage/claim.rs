//! Locks on what is in `tmp/`: they tell what is being made from what a dead process has left.
//!
//! Theory of operation. A maker gives its file or directory a shared lock (flock(2)) right after it has made it, and
//! holds it until that has its place or is gone. Whoever cleans up takes what it can lock alone, and keeps that lock
//! while it moves it away. So a maker that comes to lock just then finds, once it has the lock, that its name is gone,
//! and begins anew under another: nothing has to be old before it counts as left behind.

use super::place::Place;
use super::record::{BELOW, failed, unique};
use crate::error::Result;
use crate::failpoint;
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Makes an empty directory under a name of its own; returns the name, the directory and the lock on it.
///
/// # Errors
/// When the file system refuses.
pub(super) fn new_directory(tmp: &Place) -> Result<(String, Place, File)> {
    loop {
        let name = unique();
        tmp.make_below(&name)?;
        // Gone again if somebody who cleans up was faster than the lock.
        let Some(home) = tmp.below(&name)? else { continue };
        let lock =
            home.as_fd().try_clone_to_owned().map(File::from).and_then(|file| locked(tmp, &name, file));
        if let Some(lock) = lock.map_err(|e| failed("lock", home.path(), e))? {
            return Ok((name, home, lock));
        }
    }
}

/// Makes an empty file under a name of its own; returns the name and the file, which is locked while it is open.
///
/// # Errors
/// When the file system refuses.
pub(super) fn new_file(tmp: &Place) -> Result<(String, File)> {
    loop {
        let name = unique();
        let file = tmp.new_file(&name)?;
        let lock = locked(tmp, &name, file).map_err(|e| failed("lock", &tmp.path().join(&name), e))?;
        if let Some(file) = lock {
            return Ok((name, file));
        }
    }
}

/// Locks what is being made; `None` if it was taken for something left behind before.
fn locked(tmp: &Place, name: &str, file: File) -> io::Result<Option<File>> {
    failpoint::reach("tmp.made");
    file.lock_shared()?;
    Ok(is_named(tmp, name, &file)?.then_some(file))
}

/// Whether the name still belongs to what was opened by it.
pub(super) fn is_named(tmp: &Place, name: impl AsRef<Path>, file: &File) -> io::Result<bool> {
    let found = tmp.look(name).map_err(io::Error::other)?;
    let opened = file.metadata()?;
    Ok(found.is_some_and(|found| (found.st_dev, found.st_ino) == (opened.dev(), opened.ino())))
}

/// Something in `tmp/` that nobody is making.
pub(super) struct Left {
    _lock: Option<File>,
}

/// Whether nobody is making this any more; keeps others from it while the result is held.
pub(super) fn left(tmp: &Place, name: &Path) -> Option<Left> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    match open_within(tmp, name, flags, BELOW).map(File::from) {
        Ok(file) => {
            let ours = file.try_lock().is_ok() && is_named(tmp, name, &file).unwrap_or(false);
            ours.then_some(Left { _lock: Some(file) })
        }
        // It is gone, or nothing can be said now.
        Err(Errno::ENOENT | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EINTR) => None,
        // Nobody makes links, sockets and what its owner cannot open.
        Err(_) => Some(Left { _lock: None }),
    }
}
