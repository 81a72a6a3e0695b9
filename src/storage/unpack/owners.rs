//! Intended owners, for a store whose user has one id only.
//!
//! The file `owners` of a layer holds one record per path whose owner is not 0:0, in the order of the
//! archive: `uid:gid:path` with decimal numbers, ended by a NUL byte. The path is relative to the
//! layer's root, without a leading slash; later records win. The root itself is the empty path.

use crate::error::Result;
use crate::storage::record::{Durability, replace_bytes};
use std::path::Path;

/// Intended owners by path.
#[derive(Debug, Default)]
pub struct Owners {
    records: Vec<u8>,
}

impl Owners {
    /// Notes the intended owner of a path.
    pub(super) fn note(&mut self, path: &[u8], uid: u32, gid: u32) {
        self.records.extend_from_slice(format!("{uid}:{gid}:").as_bytes());
        self.records.extend_from_slice(path);
        self.records.push(0);
    }

    /// Writes the records, if there are any; gives whether there are.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, path: &Path) -> Result<bool> {
        if self.records.is_empty() {
            return Ok(false);
        }
        replace_bytes(path, &self.records, Durability::Volatile).map(|()| true)
    }
}
