//! Locks on steps: of two builds that come to the same step, one works it off and the other waits for the result.

use super::BuildCache;
use crate::error::{Error, Kind, Result};
use crate::image::Digest;
use crate::storage::place::Place;
use crate::storage::record::failed;
use nix::fcntl::OFlag;
use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

pub(super) const LOCKS: &str = "locks";
/// Between two attempts to get a lock that others hold.
const PAUSE: Duration = Duration::from_millis(10);

/// Proof that nobody else works off this step; released on drop, or when the last process ends that has it by fork.
#[derive(Debug)]
pub struct StepLock {
    locks: Place,
    name: String,
    owner: nix::unistd::Pid,
    _file: File,
}

impl Drop for StepLock {
    fn drop(&mut self) {
        // While it is locked: who has opened it and waits finds that it has no name any more, and begins anew.
        if self.owner == nix::unistd::getpid() {
            let _ = self.locks.remove_file(&self.name);
        }
    }
}

impl BuildCache {
    /// Locks a step; `None` while another process works it off.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn try_lock_step(&self, key: &Digest) -> Result<Option<StepLock>> {
        let locks = self.make_part(LOCKS)?;
        let name = key.hex().to_owned();
        Ok(try_lock(&locks, &name, true)?.map(|file| StepLock {
            locks,
            name,
            owner: nix::unistd::getpid(),
            _file: file,
        }))
    }

    /// Locks a step, and waits for another process that works it off. `stop` is asked now and then whether to give up.
    ///
    /// # Errors
    /// When the file system refuses, or it was told to stop.
    pub fn lock_step(&self, key: &Digest, stop: &dyn Fn() -> bool) -> Result<StepLock> {
        patiently(stop, || self.try_lock_step(key))
    }
}

/// Tries until there is something.
pub(super) fn patiently<T>(
    stop: &dyn Fn() -> bool,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    loop {
        if let Some(done) = attempt()? {
            return Ok(done);
        }
        if stop() {
            return Err(Error::new(Kind::Runtime, "interrupted"));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Locks a file in a directory, which is made if it is missing; `None` while others hold it, or where the directory has
/// been removed meanwhile.
pub(super) fn try_lock(dir: &Place, name: &str, exclusive: bool) -> Result<Option<File>> {
    loop {
        let Some(file) = dir.file(name, OFlag::O_RDWR | OFlag::O_CREAT)? else { return Ok(None) };
        match if exclusive { file.try_lock() } else { file.try_lock_shared() } {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(failed("lock", &dir.path().join(name), e)),
        }
        let own = file.metadata().map_err(|e| failed("look at", &dir.path().join(name), e))?;
        // Its last owner may have removed it after we opened it.
        if dir.look(name)?.is_some_and(|found| found.st_ino == own.ino()) {
            return Ok(Some(file));
        }
    }
}
