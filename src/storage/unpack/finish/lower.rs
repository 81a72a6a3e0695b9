//! A layer below the one being completed.

use crate::error::Result;
use crate::storage::place::open_dir;
use crate::storage::unpack::owners;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A layer below the one being completed.
#[derive(Debug)]
pub(in crate::storage) struct Lower {
    pub(in crate::storage) root: OwnedFd,
    home: PathBuf,
    owners: OnceCell<HashMap<Vec<u8>, (u32, u32)>>,
}

impl Lower {
    /// Opens the layer in this directory of the store.
    pub(in crate::storage) fn open(home: &Path) -> Result<Self> {
        Ok(Lower { root: open_dir(&home.join("fs"))?, home: home.to_owned(), owners: OnceCell::new() })
    }

    /// The intended owner of a path, if one is recorded.
    pub(super) fn owner(&self, path: &[u8]) -> Option<(u32, u32)> {
        let read = || owners::read(&self.home);
        self.owners.get_or_init(read).get(path).copied()
    }
}
