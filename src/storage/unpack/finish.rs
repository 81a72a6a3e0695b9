//! Completing a layer from those below it.

use super::Notes;
use crate::error::Result;
use crate::storage::layers::open_dir;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A layer below the one being completed.
#[derive(Debug)]
pub struct Lower {
    root: OwnedFd,
}

impl Lower {
    /// Opens the layer in this directory of the store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(home: &Path) -> Result<Self> {
        Ok(Lower { root: open_dir(&home.join("fs"))? })
    }
}

pub(in crate::storage) fn complete(_root: &OwnedFd, _notes: &mut Notes, _below: &[Lower]) -> Result<()> {
    Ok(())
}
