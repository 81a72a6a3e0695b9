//! Taking a whole store away.

use super::record::failed;
use super::{ExclusiveLock, Store, trash};
use crate::error::Result;
use std::fs;
use std::io;

/// What makes a store, in the order in which it goes: first what other commands look for.
const PARTS: [&str; 15] = [
    "version",
    "index.lock",
    "names",
    "refs",
    "images",
    "containers",
    "oci",
    "layers",
    "volumes",
    "secrets",
    "events",
    "tmp",
    "networks",
    "build",
    "cache",
];

impl Store {
    /// Moves everything that makes up this store into its trash, which is left to be swept. What else
    /// lies in the data root is not ours and stays. No container may live.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn discard_everything(&self, _lock: &ExclusiveLock) -> Result<()> {
        for part in PARTS {
            trash::discard(self.data(), &self.data().join(part))?;
        }
        Ok(())
    }

    /// Removes the data root when nothing but its swept trash is left in it; gives whether it is gone.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove_root(&self, lock: ExclusiveLock) -> Result<bool> {
        let gone = |path: &std::path::Path, result: io::Result<()>| match result {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            other => other.map(|()| true).map_err(|e| failed("remove", path, e)),
        };
        let trash = self.data().join("trash");
        if !gone(&trash, fs::remove_dir(&trash))? {
            return Ok(false);
        }
        let held = self.data().join("lock");
        gone(&held, fs::remove_file(&held))?;
        drop(lock);
        // A mount point or a directory of another owner stays, empty.
        Ok(fs::remove_dir(self.data()).is_ok())
    }
}
