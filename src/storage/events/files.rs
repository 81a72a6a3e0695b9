//! The files that events are kept in.

use crate::error::Error;
use crate::storage::place::Place;
use std::io;

/// The file that is written.
pub(super) const CURRENT: &str = "current";

/// The form that writers of events need: one line.
pub(super) fn in_words(error: Error) -> io::Error {
    io::Error::other(error.in_one_line())
}

pub(super) fn is_at(dir: &Place, name: &str, inode: u64) -> bool {
    matches!(dir.look(name), Ok(Some(found)) if found.st_ino == inode)
}

pub(super) fn numbered(number: u64) -> String {
    format!("{number:08}")
}

/// The rotated files, oldest first.
pub(super) fn numbers(dir: &Place) -> io::Result<Vec<u64>> {
    let names = dir.names().map_err(in_words)?;
    let mut all: Vec<u64> = names.into_iter().filter_map(|name| name.parse().ok()).collect();
    all.sort_unstable();
    Ok(all)
}
