//! The locks on the whole store: shared while a reference is made, exclusive to collect garbage; and one that tells
//! whether blobs without an image are on their way to one.

use super::place::{Place, TMP};
use super::record::{failed, open_regular};
use crate::error::{Error, Kind, Result};
use nix::fcntl::OFlag;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long garbage collection waits for others to leave their moments with the store.
const EXCLUSIVE_PATIENCE: Duration = Duration::from_secs(10);

/// Proof that garbage collection waits; released on drop.
#[derive(Debug)]
pub struct SharedLock {
    _file: File,
}

/// Proof that nobody else makes references; released on drop.
#[derive(Debug)]
pub struct ExclusiveLock {
    _file: File,
}

/// Proof that blobs and layers are in the making; released on drop.
#[derive(Debug)]
pub struct MakingLock {
    _dir: File,
}

/// `tmp/`, where all of them begin.
fn tmp(data: &Path) -> Result<File> {
    let tmp = Place::make(&data.join(TMP))?;
    tmp.as_fd().try_clone_to_owned().map(File::from).map_err(|e| failed("lock", tmp.path(), e))
}

/// See [`Store::making`](super::Store::making).
pub(super) fn making(data: &Path) -> Result<MakingLock> {
    let dir = tmp(data)?;
    dir.lock_shared().map_err(|e| failed("lock", &data.join(TMP), e))?;
    Ok(MakingLock { _dir: dir })
}

/// Keeps others from beginning, if nobody is at it now.
fn nobody_makes(data: &Path) -> Result<Option<MakingLock>> {
    let dir = tmp(data)?;
    Ok(dir.try_lock().is_ok().then_some(MakingLock { _dir: dir }))
}

/// How long something that nothing names stays: not at all if nobody is at work who may be about to name it, which the
/// lock sees to, and else so long that this would have happened.
pub(super) fn orphan_age(data: &Path) -> Result<(Option<MakingLock>, Duration)> {
    const WHILE_OTHERS_WORK: Duration = Duration::from_secs(24 * 3600);
    let alone = nobody_makes(data)?;
    let age = if alone.is_some() { Duration::ZERO } else { WHILE_OTHERS_WORK };
    Ok((alone, age))
}

/// Opens a lock file at the top of the store.
pub(super) fn open_lock(data: &Path, name: &str) -> Result<File> {
    // Read-only is enough for flock(2), and works on a store that is mounted read-only.
    let flags = OFlag::O_RDONLY | OFlag::O_CREAT;
    open_regular(Place::open(data)?.as_fd(), name, flags).map_err(|e| {
        let error = failed("open", &data.join(name), e);
        error.hint(
            "Something else is in the place of a lock file? Set it aside: coracle system check --repair",
        )
    })
}

/// Proof that nobody else updates containers; released on drop.
#[derive(Debug)]
pub struct UpdatingLock {
    _dir: File,
}

/// See [`Store::updating`](super::Store::updating).
pub(super) fn updating(data: &Path) -> Result<UpdatingLock> {
    let place = Place::open(data)?;
    let dir = place.as_fd().try_clone_to_owned().map(File::from).map_err(|e| failed("lock", data, e))?;
    match dir.try_lock() {
        Ok(()) => Ok(UpdatingLock { _dir: dir }),
        Err(fs::TryLockError::WouldBlock) => {
            Err(Error::new(Kind::Conflict, "another auto-update is at work on this store")
                .hint("Try again when the other auto-update is done."))
        }
        Err(fs::TryLockError::Error(e)) => Err(failed("lock", data, e)),
    }
}

/// See [`Store::shared`](super::Store::shared).
pub(super) fn shared(data: &Path) -> Result<SharedLock> {
    let file = open_lock(data, "lock")?;
    file.lock_shared().map_err(|e| failed("lock", &data.join("lock"), e))?;
    Ok(SharedLock { _file: file })
}

/// See [`Store::exclusive`](super::Store::exclusive).
pub(super) fn exclusive(data: &Path) -> Result<ExclusiveLock> {
    let file = open_lock(data, "lock")?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(ExclusiveLock { _file: file }),
            Err(fs::TryLockError::WouldBlock) if start.elapsed() < EXCLUSIVE_PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::Storage, "the store is in use by other commands")
                    .hint("Try again when the running pulls and builds are done."));
            }
            Err(fs::TryLockError::Error(e)) => return Err(failed("lock", &data.join("lock"), e)),
        }
    }
}
