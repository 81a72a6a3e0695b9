//! Removing a whole store.

use super::lock::ExclusiveLock;
use super::mounted::{MOUNTS, Mounts};
use super::place::{ASIDE, Place, TRASH};
use super::record::failed;
use super::store::Store;
use super::trash;
use crate::error::Result;
use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// What makes a store, in the order in which it goes: first what other commands look for.
const PARTS: [&str; 19] = [
    "version",
    "index.lock",
    "names",
    "refs",
    "images",
    "lists",
    "containers",
    "pods",
    "oci",
    "layers",
    "volumes",
    "secrets",
    "events",
    ASIDE,
    "tmp",
    "networks",
    "build",
    "cache",
    MOUNTS,
];

impl Store {
    /// Moves everything that makes up this store into its trash, which is left to be swept. What else
    /// lies in the data root is not ours and stays. No container may live.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn discard_everything(&self, _lock: &ExclusiveLock) -> Result<()> {
        Mounts::of(self.data()).let_go();
        let data = Place::open(self.data())?;
        // Parts may be links that somebody has put there: they go, and what they lead to stays.
        PARTS.iter().try_for_each(|part| {
            trash::discard(self.data(), &data, part)?;
            crate::failpoint::reach("reset.part");
            Ok(())
        })
    }

    /// Removes the data root when nothing but its swept trash is left in it; returns whether it is gone.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove_root(&self, lock: ExclusiveLock) -> Result<bool> {
        let data = Place::open(self.data())?;
        match unlinkat(&data, TRASH, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => return Ok(false),
            Err(e) => return Err(failed("remove", &data.path().join(TRASH), e.into())),
        }
        data.remove_file("lock")?;
        drop(lock);
        // A mount point or a directory of another owner stays, empty.
        Ok(std::fs::remove_dir(&self.roots.given).is_ok())
    }
}
