//! A context that comes as a stream: an archive, or the text of a Containerfile in its place.
//!
//! Theory of operation. The first bytes tell which it is. An archive is unpacked by a leaf into a directory of the
//! store's `tmp/`, with the code that `cp` uses: whatever its names and links say, nothing is made outside
//! (attack case 47). Its files belong to the caller, as those of a context in a directory do. On the way the stream
//! is hashed, as it came: the digest identifies the context.

use super::report::Progress;
use super::tree;
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{self, Reporter};
use crate::image::Digest;
use crate::storage::unpack::extract::{Extract, Owner, decompressed, extract};
use crate::storage::unpack::{ARCHIVE_START, is_archive};
use crate::storage::{Scratch, Store, room};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, Cursor, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Longest text of a Containerfile, in bytes.
pub const TEXT_MAX: u64 = 10 << 20;
/// Shortest time between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// What a stream turned out to be.
#[derive(Debug)]
pub enum Opened {
    /// An archive, unpacked.
    Directory(Unpacked),
    /// The text of a Containerfile, at most [`TEXT_MAX`] bytes.
    Text(Vec<u8>),
}

/// An unpacked archive, deleted on drop.
#[derive(Debug)]
pub struct Unpacked {
    scratch: Scratch,
    root: OwnedFd,
    /// Of the archive as it came.
    pub digest: Digest,
    /// Device nodes in it, which were not made.
    pub devices: u64,
}

impl Unpacked {
    /// Its top directory.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// That directory, and what deletes it on drop.
    pub(super) fn into_parts(self) -> (OwnedFd, Scratch) {
        (self.root, self.scratch)
    }
}

/// Opens a stream; `name` is what messages call it.
///
/// # Errors
/// [`Kind::Image`] for a malformed or hostile archive; [`Kind::Usage`] for a text that is too long; `Storage` when the
/// disk is almost full.
pub fn open(store: &Store, mut input: File, name: &str, report: &mut dyn FnMut(Progress)) -> Result<Opened> {
    let mut start = Vec::new();
    let head = (&mut input).take(ARCHIVE_START as u64).read_to_end(&mut start);
    head.context(Kind::Usage, || format!("read {name}"))?;
    if is_archive(&start) {
        return unpack(store, start, input, name, report).map(Opened::Directory);
    }
    text(Cursor::new(start).chain(input), name).map(Opened::Text)
}

/// Reads the text of a Containerfile.
///
/// # Errors
/// [`Kind::Usage`] when it cannot be read, or has more than [`TEXT_MAX`] bytes.
pub(super) fn text(input: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    input.take(TEXT_MAX + 1).read_to_end(&mut text).context(Kind::Usage, || format!("read {name}"))?;
    if text.len() as u64 > TEXT_MAX {
        return Err(Error::new(Kind::Usage, format!("{name} has more than {} MiB", TEXT_MAX >> 20))
            .hint("Use a Containerfile of at most 10 MiB, or an archive."));
    }
    Ok(text)
}

fn unpack(
    store: &Store,
    start: Vec<u8>,
    input: File,
    name: &str,
    report: &mut dyn FnMut(Progress),
) -> Result<Unpacked> {
    let scratch = store.scratch()?;
    let (root, path) = tree::make(&scratch)?;
    let (digest, devices) = fork::leaf(
        "context",
        &[input.as_raw_fd(), root.as_raw_fd()],
        |reporter: &Reporter<Progress>| {
            extracted(start, input, root.as_fd(), &path, &|current| {
                let what = format!("unpacking {name}");
                reporter.send(Progress { what, current, total: None });
            })
        },
        &mut *report,
    )
    .map_err(|e| match e.kind() {
        Kind::Image => Error::new(Kind::Image, format!("{name} cannot be unpacked")).caused_by(e),
        _ => e,
    })?;
    if devices > 0 {
        log::warn!("{name} has {devices} device nodes, which are left out");
    }
    Ok(Unpacked { scratch, root, digest, devices })
}

/// The leaf's work: the digest of the stream, and how many devices were left out.
fn extracted(
    start: Vec<u8>,
    input: File,
    into: BorrowedFd<'_>,
    path: &std::path::Path,
    progress: &dyn Fn(u64),
) -> Result<(Digest, u64)> {
    let hash = Rc::new(RefCell::new(Sha256::new()));
    let rest = input.try_clone().context(Kind::Host, || "duplicate a descriptor")?;
    let source = Hashed { inner: Cursor::new(start).chain(input), hash: hash.clone() };
    let archive = Watched {
        // What begins as an archive and ends at once is a malformed one.
        inner: decompressed(source).map_err(|e| e.of_kind(Kind::Image))?,
        into,
        path: path.to_owned(),
        taken: 0,
        look_at: 0,
        reported: Instant::now(),
        progress,
    };
    let how = Extract {
        owner: Owner::Caller,
        overwrite: true,
        privileges: true,
        apart: false,
        below: String::new(),
    };
    let done = extract(into, archive, how)?;
    // What follows a compressed archive belongs to the stream.
    let mut rest = Hashed { inner: rest, hash: hash.clone() };
    io::copy(&mut rest, &mut io::sink()).context(Kind::Image, || "read the end of the archive")?;
    let digest = Digest::from_sha256(hash.take().finalize().into());
    Ok((digest, done.devices))
}

/// Hashes what is read.
struct Hashed<R> {
    inner: R,
    hash: Rc<RefCell<Sha256>>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.borrow_mut().update(&buffer[..count]);
        Ok(count)
    }
}

/// Watches the room on the disk, and tells how much was unpacked.
struct Watched<'a> {
    inner: Box<dyn BufRead>,
    into: BorrowedFd<'a>,
    path: PathBuf,
    taken: u64,
    look_at: u64,
    reported: Instant,
    progress: &'a dyn Fn(u64),
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Watched<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.look_at {
            self.look_at = self.taken + room::LOOK_EVERY;
            room::check(self.into, self.taken, &self.path).map_err(io::Error::other)?;
            if self.reported.elapsed() >= REPORT_EVERY {
                self.reported = Instant::now();
                (self.progress)(self.taken);
            }
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.taken += count as u64;
        self.inner.consume(count);
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
