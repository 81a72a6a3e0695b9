//! Opens the user's input as something whose members can be read.

use super::source::Source;
use crate::error::{Context, Error, Kind, Result};
use crate::storage::Store;
use crate::storage::blobs::Section;
use crate::storage::unpack::{Limits, decode};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::Arc;

/// A reader that fails when more comes out of a compressed file than an archive may hold.
struct Bounded<R> {
    inner: R,
    packed: u64,
    total: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.total += count as u64;
        Limits::default().check_bytes(self.total, self.packed).map_err(io::Error::other)?;
        Ok(count)
    }
}

/// Reads an image archive, plain or compressed, or a directory. What cannot be read in
/// place (a pipe, a compressed file) is first written to `tmp/` without a name.
///
/// # Errors
/// What is no archive, or a full disk.
pub fn open(store: &Store, file: File, stop: &dyn Fn() -> bool) -> Result<Source> {
    let kind = file.metadata().context(Kind::Storage, || "look at the input")?;
    if kind.is_dir() {
        return Ok(Source::directory(file.into()));
    }
    let file = seekable(store, file, stop)?;
    let length = file.metadata().context(Kind::Storage, || "look at the input")?.len();
    if length == 0 {
        return Err(Error::new(Kind::Image, "the input is empty")
            .hint("Name a file that save has written: coracle load -i FILE"));
    }
    let section = Section::new(file.clone(), 0, length);
    let (format, reader) = decode::open(section).context(Kind::Image, || "read the archive")?;
    if format == "tar" {
        drop(reader);
        return Source::tar(file);
    }
    let mut spool = store.blobs().spool()?;
    spool.take(Bounded { inner: reader, packed: length, total: 0 }, stop)?;
    Source::tar(spool.seal().file())
}

/// The input as a file that can be read from any place: itself, or a copy.
///
/// # Errors
/// When it cannot be copied.
fn seekable(store: &Store, mut file: File, stop: &dyn Fn() -> bool) -> Result<Arc<File>> {
    let regular = file.metadata().context(Kind::Storage, || "look at the input")?.is_file();
    if regular && file.stream_position().is_ok_and(|at| at == 0) {
        return Ok(Arc::new(file));
    }
    let mut spool = store.blobs().spool()?;
    spool.take(file, stop)?;
    Ok(spool.seal().file())
}
