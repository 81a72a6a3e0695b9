//! Cache mounts: directories that `RUN --mount=type=cache` shows to builds and that outlive them (Dockerfile
//! reference, "RUN --mount=type=cache").

use super::BuildCache;
use super::locks::{patiently, try_lock};
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::storage::access_list::make_open_dir;
use crate::storage::place::Place;
use crate::storage::record::Durability;
use crate::storage::trash;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::PathBuf;

pub(super) const MOUNTS: &str = "mounts";
pub(super) const DATA: &str = "data";
pub(super) const RECORD: &str = "mount.json";
pub(super) const LOCK: &str = "lock";

/// Who may use a cache mount at the same time, the strictest last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// Everyone.
    #[default]
    Shared,
    /// One step; others get a directory of their own.
    Private,
    /// One step; others wait.
    Locked,
}

/// The record of a cache mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MountRecord {
    pub(super) version: u32,
    /// What builds call it.
    pub(super) id: String,
    pub(super) created: DateTime<Utc>,
    pub(super) used: DateTime<Utc>,
    /// Whether somebody puts into it what is to be in it first, or was killed at that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) filling: bool,
}

/// A cache mount that is in use until this is dropped, or the last process ends that has it by fork.
#[derive(Debug)]
pub struct CacheMount {
    path: PathBuf,
    file: File,
}

impl CacheMount {
    /// Its directory, absolute; files have the ids of the shared user namespace.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The descriptor that a forked process has to keep for the mount to count as in use.
    pub fn descriptor(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.file)
    }
}

impl BuildCache {
    /// The cache mount of this id, made and filled if there is none: `fill` finds it empty, with mode 0755 and the user's
    /// ids, and nobody else sees it before it is done. `stop` is asked now and then whether to give up waiting.
    ///
    /// # Errors
    /// When the file system refuses, `fill` fails, or it was told to stop.
    pub fn mount(
        &self,
        id: &str,
        sharing: Sharing,
        stop: &dyn Fn() -> bool,
        fill: &dyn Fn(&CacheMount) -> Result<()>,
    ) -> Result<CacheMount> {
        let name = Digest::sha256_of(id.as_bytes()).hex().to_owned();
        let exclusive = sharing != Sharing::Shared;
        if sharing != Sharing::Private {
            return patiently(stop, || self.try_mount(id, &name, exclusive, fill));
        }
        let mut number = 0;
        loop {
            let name = if number == 0 { name.clone() } else { format!("{name}.{number}") };
            if let Some(mount) = self.try_mount(id, &name, exclusive, fill)? {
                return Ok(mount);
            }
            number += 1;
        }
    }

    fn try_mount(
        &self,
        id: &str,
        name: &str,
        exclusive: bool,
        fill: &dyn Fn(&CacheMount) -> Result<()>,
    ) -> Result<Option<CacheMount>> {
        let mounts = self.make_part(MOUNTS)?;
        loop {
            let home = match Place::make(&mounts.path().join(name)) {
                Ok(home) => home,
                // `prune` has taken it as soon as it was there.
                Err(e) if is_gone(&e) => return Ok(None),
                Err(e) => return Err(e),
            };
            let filled = is_filled(&home);
            let Some(file) = try_lock(&home, LOCK, exclusive || !filled)? else { return Ok(None) };
            // Meanwhile `prune` may have taken it away, with the lock in it, or somebody may have filled it.
            if !is_still(&mounts, name, &home)? || is_filled(&home) != filled {
                continue;
            }
            let mount = CacheMount { path: home.path().join(DATA), file };
            let now = Utc::now();
            let known = home.read::<MountRecord>(RECORD).ok().flatten();
            let created = known.filter(|_| filled).map_or(now, |known| known.created);
            let mut record =
                MountRecord { version: 1, id: id.to_owned(), created, used: now, filling: !filled };
            home.replace(RECORD, &record, Durability::Volatile)?;
            crate::failpoint::reach("cachemount.recorded");
            if filled {
                return Ok(Some(mount));
            }
            // What somebody had begun who was killed.
            trash::discard(&self.roots.data, &home, DATA)?;
            make_open_dir(&home, DATA)?;
            fill(&mount)?;
            record.filling = false;
            home.replace(RECORD, &record, Durability::Volatile)?;
            crate::failpoint::reach("cachemount.filled");
            if exclusive {
                return Ok(Some(mount));
            }
            // Locked anew, as others may use it too.
        }
    }
}

fn is_gone(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

/// Whether everything is in a cache mount that was to be in it first.
fn is_filled(home: &Place) -> bool {
    let record = home.read::<MountRecord>(RECORD).ok().flatten();
    record.is_some_and(|record| !record.filling) && home.below(DATA).is_ok_and(|data| data.is_some())
}

/// Whether a cache mount that was opened is the one of this name.
fn is_still(mounts: &Place, name: &str, home: &Place) -> Result<bool> {
    let inode = |place: &Place| Ok::<_, Error>(place.look(LOCK)?.map(|found| found.st_ino));
    match mounts.below(name)? {
        Some(there) => Ok(inode(&there)? == inode(home)?),
        None => Ok(false),
    }
}
