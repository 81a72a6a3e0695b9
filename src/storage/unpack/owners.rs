//! Intended owners, for a store whose user has one id only.
//!
//! The file `owners` of a layer holds one record per entry, in the order of the archive: `uid:gid:path` with
//! decimal numbers, ended by a NUL byte. The path is relative to the layer's root, without a leading slash;
//! later records win. The root itself is the empty path.

use crate::storage::place;
use crate::storage::record::read_bytes;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::Path;

/// Largest file of records that is read, in bytes.
const MAX: u64 = 1 << 30;

/// Intended owners by path.
#[derive(Debug, Default)]
pub struct Owners {
    records: Vec<u8>,
}

impl Owners {
    /// Notes the intended owner of a path. A path that is 0:0 is noted too: it may have been another's.
    pub(super) fn note(&mut self, path: &[u8], uid: u32, gid: u32) {
        self.records.extend_from_slice(format!("{uid}:{gid}:").as_bytes());
        self.records.extend_from_slice(path);
        self.records.push(0);
    }

    /// Corrects the paths below a directory that was moved; both end with a slash or are the new place.
    pub(super) fn moved(&mut self, below: &[u8], target: &[u8]) {
        let mut corrected = Vec::with_capacity(self.records.len());
        for record in self.records.split_inclusive(|b| *b == 0) {
            let start = path_start(record);
            match record[start..].strip_prefix(below) {
                Some(rest) => {
                    corrected.extend_from_slice(&record[..start]);
                    corrected.extend_from_slice(target);
                    corrected.push(b'/');
                    corrected.extend_from_slice(rest);
                }
                None => corrected.extend_from_slice(record),
            }
        }
        self.records = corrected;
    }

    /// The records, if there are any.
    pub(in crate::storage) fn records(&self) -> Option<&[u8]> {
        if self.records.is_empty() { None } else { Some(&self.records) }
    }
}

/// Where the path starts in a record.
fn path_start(record: &[u8]) -> usize {
    let mut colons = record.iter().enumerate().filter(|(_, b)| **b == b':').map(|(i, _)| i + 1);
    colons.nth(1).unwrap_or(record.len())
}

/// Reads the records of the layer in this directory; one that cannot be read has none, as a layer made with
/// many ids.
pub fn read(home: &Path) -> HashMap<Vec<u8>, (u32, u32)> {
    let bytes = place::directory(home).ok().and_then(|home| read_bytes(home.as_fd(), "owners", MAX).ok()?);
    let bytes = bytes.unwrap_or_default();
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u32>().ok();
    bytes
        .split(|b| *b == 0)
        .filter_map(|record| {
            let start = path_start(record);
            let mut numbers = record[..start].split(|b| *b == b':');
            Some((record[start..].to_vec(), (number(numbers.next()?)?, number(numbers.next()?)?)))
        })
        .collect()
}
