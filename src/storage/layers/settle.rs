//! Having layers that were made in place on the disk.

use super::unsynced::{self, State};
use super::{Layers, missing};
use crate::error::Result;
use crate::failpoint;
use crate::image::ChainId;
use crate::storage::record::failed;
use std::fs::File;
use std::os::fd::AsFd;

impl Layers {
    /// Writes back those of these layers that are not on the disk yet, with one syncfs(2) for all; to be called before
    /// a record that survives a power cut names them.
    ///
    /// The order: the trees, then the marks that say that they may be missing, one by one. Whoever is killed in between
    /// leaves marks on layers that are whole, and the next call syncs again.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) when a layer was lost; when the file system refuses.
    pub fn settle(&self, chain: &[ChainId]) -> Result<()> {
        let layers = self.own()?;
        let lost = |e| failed("sync", layers.path(), e);
        let lock = layers.as_fd().try_clone_to_owned().map(File::from).map_err(lost)?;
        // Of two, the second must not take it from a mark that has just gone that all is on the disk.
        lock.lock().map_err(lost)?;
        let mut unsynced = Vec::new();
        for id in chain {
            let Some(home) = layers.below(id.0.hex())? else { continue };
            match unsynced::state(&home) {
                State::Synced => {}
                State::Unsynced => unsynced.push(home),
                State::Torn => return Err(missing(id)),
            }
        }
        if unsynced.is_empty() {
            return Ok(());
        }
        nix::unistd::syncfs(&layers).map_err(|e| lost(e.into()))?;
        failpoint::reach("settle.synced");
        for home in &unsynced {
            unsynced::unmark(home)?;
            failpoint::reach("settle.unmarked");
        }
        // Again, and not for each alone: little is left to write, and each would wait for the disk.
        nix::unistd::syncfs(&layers).map_err(|e| lost(e.into()))
    }
}
