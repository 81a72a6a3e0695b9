//! Cache mounts: directories that `RUN --mount=type=cache` shows to builds and that outlive them (Dockerfile
//! reference, "RUN --mount=type=cache").

use super::BuildCache;
use super::locks::{patiently, try_lock};
use crate::error::Result;
use crate::image::Digest;
use crate::storage::access_list::make_open_dir;
use crate::storage::place::Place;
use crate::storage::record::Durability;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::PathBuf;

pub(super) const MOUNTS: &str = "mounts";
pub(super) const DATA: &str = "data";
pub(super) const RECORD: &str = "mount.json";
pub(super) const LOCK: &str = "lock";

/// Who may use a cache mount at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
}

/// A cache mount that is in use until this is dropped, or the last process ends that has it by fork.
#[derive(Debug)]
pub struct CacheMount {
    path: PathBuf,
    fresh: bool,
    file: File,
}

impl CacheMount {
    /// Its directory, absolute; mode 0755, with the ids of the shared user namespace.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Whether it was made just now: it has mode 0755, the user's ids and no content.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The descriptor that a forked process has to keep for the mount to count as in use.
    pub fn descriptor(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.file)
    }
}

impl BuildCache {
    /// The cache mount of this id, made if there is none. `stop` is asked now and then whether to give up waiting.
    ///
    /// # Errors
    /// When the file system refuses, or it was told to stop.
    pub fn mount(&self, id: &str, sharing: Sharing, stop: &dyn Fn() -> bool) -> Result<CacheMount> {
        let name = Digest::sha256_of(id.as_bytes()).hex().to_owned();
        let exclusive = sharing != Sharing::Shared;
        if sharing != Sharing::Private {
            return patiently(stop, || self.try_mount(id, &name, exclusive));
        }
        let mut number = 0;
        loop {
            let name = if number == 0 { name.clone() } else { format!("{name}.{number}") };
            if let Some(mount) = self.try_mount(id, &name, exclusive)? {
                return Ok(mount);
            }
            number += 1;
        }
    }

    fn try_mount(&self, id: &str, name: &str, exclusive: bool) -> Result<Option<CacheMount>> {
        let mounts = self.make_part(MOUNTS)?;
        loop {
            let home = Place::make(&mounts.path().join(name))?;
            let Some(file) = try_lock(&home, LOCK, exclusive)? else { return Ok(None) };
            // `prune` may have taken it away meanwhile, which moves the directory and the lock in it.
            let inode =
                |place: &Place| Ok::<_, crate::error::Error>(place.look(LOCK)?.map(|found| found.st_ino));
            let same = match mounts.below(name)? {
                Some(there) => inode(&there)? == inode(&home)?,
                None => false,
            };
            if !same {
                continue;
            }
            let fresh = home.below(DATA)?.is_none();
            if fresh {
                // Of two at once the second finds it.
                make_open_dir(&home, DATA).map(drop).or_else(|e| match home.below(DATA)? {
                    Some(_) => Ok(()),
                    None => Err(e),
                })?;
            }
            let now = Utc::now();
            let known = home.read::<MountRecord>(RECORD).ok().flatten();
            let created = known.map_or(now, |known| known.created);
            let record = MountRecord { version: 1, id: id.to_owned(), created, used: now };
            home.replace(RECORD, &record, Durability::Volatile)?;
            crate::failpoint::reach("cachemount.recorded");
            return Ok(Some(CacheMount { path: home.path().join(DATA), fresh, file }));
        }
    }
}
