//! Content-addressed blobs in a valid OCI image layout (OCI image spec, image-layout.md).
//!
//! Theory of operation. A [`BlobWriter`] appends to a file in `tmp/` and hashes at the same time; `finish`
//! verifies digest and size and renames the file into place, so a blob that exists has been verified.
//! [`BlobReader`]s follow the same file while it grows: the disk is the queue between the network and the
//! unpacker, neither waits for the other, and a resumed download just keeps appending. A reader sees end of
//! file only after the digest has been verified (attack cases 10 and 12), and an error if the writer gives up.

use super::claim;
use super::place::{Place, TMP};
use super::record::{Durability, failed, open_regular, read_bytes};
use super::roots::Roots;
use crate::error::{Error, Kind, Result};
use crate::image::Digest;
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use sha2::{Digest as _, Sha256, Sha512};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

mod spool;

pub use spool::{Sealed, Section, Spool};

/// What the names of unfinished downloads in `tmp/` begin with.
pub(super) const PARTIAL: &str = "partial-";
/// Bytes after which a growing blob's way to the disk begins; all is synced at the end of the pull.
const WRITEBACK_STEP: u64 = 2 << 20;
/// Largest manifest or configuration that is read into memory, in bytes (the size registries accept).
pub const SMALL_BLOB_MAX: u64 = 4 << 20;

/// The blobs of a store, our own and those of additional read-only stores.
#[derive(Debug, Clone)]
pub struct Blobs {
    roots: Arc<Roots>,
}

impl Blobs {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Blobs { roots }
    }

    /// Whether this blob is there, in our own store or in an additional one.
    pub fn has(&self, digest: &Digest) -> bool {
        self.roots.readable().any(|data| is_at(data, digest))
    }

    /// Opens a blob for reading; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn open(&self, digest: &Digest) -> Result<Option<File>> {
        for data in self.roots.readable() {
            if let Some(dir) = Place::find(&dir(data, digest))?
                && let Some(file) = dir.file(digest.hex(), OFlag::O_RDONLY)?
            {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// Reads a small blob whole and verifies it once more; `None` when it is not there.
    ///
    /// # Errors
    /// When it is larger than [`SMALL_BLOB_MAX`] or its bytes no longer match its digest.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open(digest)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(SMALL_BLOB_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|e| Error::new(Kind::Storage, format!("read blob {digest}")).caused_by(e))?;
        if bytes.len() as u64 > SMALL_BLOB_MAX {
            return Err(Error::new(
                Kind::Image,
                format!("blob {digest} is too large to be read into memory"),
            ));
        }
        verified(bytes, digest).map(Some)
    }

    /// As [`Blobs::read`], for one who reads many.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { blobs: self, dirs: BTreeMap::new() }
    }

    /// Whether this blob is in our own store.
    pub(super) fn is_own(&self, digest: &Digest) -> bool {
        is_at(&self.roots.data, digest)
    }

    /// Stores a small blob under the digest of its bytes; it is on the disk when this returns.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::sha256_of(bytes);
        if !self.is_own(&digest) {
            let mut writer = self.begin(&digest, Some(bytes.len() as u64))?;
            writer.write(bytes)?;
            writer.growing.file.sync_all().map_err(|e| failed("sync", &writer.path(), e))?;
            writer.finish()?;
            Place::open(&dir(&self.roots.data, &digest))?.sync()?;
        }
        Ok(digest)
    }

    /// Begins a blob whose digest, and size in bytes if known, are promised by its descriptor.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn begin(&self, digest: &Digest, size: Option<u64>) -> Result<BlobWriter> {
        let tmp = Place::make(&self.roots.data.join(TMP))?;
        let (temporary, file) = claim::new_file(&tmp)?;
        self.writer(digest, size, file, (tmp, temporary))
    }

    /// As [`Blobs::begin`], going on from what an earlier writer has left: [`BlobWriter::written`] says
    /// how much. Dropped before `finish`, it leaves its bytes for the next one.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn resume(&self, digest: &Digest, size: Option<u64>) -> Result<BlobWriter> {
        let (tmp, temporary) = (Place::make(&self.roots.data.join(TMP))?, partial(digest));
        // Nothing can be gone on from in what is no file; the next clean-up takes it.
        let Ok(file) = open_regular(tmp.as_fd(), &temporary, OFlag::O_RDWR | OFlag::O_CREAT) else {
            return self.begin(digest, size);
        };
        // Another process is downloading it, or just was: then this is a separate download.
        if file.try_lock().is_err() || !claim::is_named(&tmp, &temporary, &file).unwrap_or(false) {
            return self.begin(digest, size);
        }
        let mut writer = self.writer(digest, size, file, (tmp, temporary))?;
        writer.keep = true;
        writer.take_up()?;
        Ok(writer)
    }

    /// Removes what [`Blobs::resume`] would continue from, unless it is in use.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn remove_partial(&self, digest: &Digest) -> Result<()> {
        remove_unused(&Place::make(&self.roots.data.join(TMP))?, &partial(digest))
    }

    /// Removes everything that [`Blobs::resume`] would continue from and that is not in use.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove_partials(&self) -> Result<()> {
        let tmp = Place::make(&self.roots.data.join(TMP))?;
        for name in tmp.names()?.into_iter().filter(|name| name.starts_with(PARTIAL)) {
            remove_unused(&tmp, &name)?;
        }
        Ok(())
    }

    fn writer(
        &self,
        digest: &Digest,
        size: Option<u64>,
        file: File,
        (tmp, temporary): (Place, String),
    ) -> Result<BlobWriter> {
        let target = Place::make(&dir(&self.roots.data, digest))?;
        let growing = Growing { file, state: Mutex::new(State::default()), changed: Condvar::new() };
        Ok(BlobWriter {
            growing: Arc::new(growing),
            hash: Hasher::new(digest),
            digest: digest.clone(),
            size,
            written: 0,
            tmp,
            temporary,
            target,
            finished: false,
            keep: false,
        })
    }

    /// Whether a blob that is there has the content of its name; reads all of it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_true(&self, digest: &Digest) -> Result<bool> {
        let Some(mut file) = self.open(digest)? else { return Ok(false) };
        let mut hash = Hasher::new(digest);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = file.read(&mut buffer);
            match count.map_err(|e| failed("read", &dir(&self.roots.data, digest).join(digest.hex()), e))? {
                0 => return Ok(hash.finish() == *digest),
                count => hash.update(&buffer[..count]),
            }
        }
    }

    /// Our own SHA-256 blobs that were last written longer ago than this.
    pub(super) fn list_older(&self, age: Duration) -> Result<Vec<Digest>> {
        let dir = Place::open(&self.roots.data.join("oci/blobs/sha256"))?;
        let old = |name: &String| {
            let written = dir.look(name).ok().flatten().map(|found| found.st_mtime.unsigned_abs());
            let written = written.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            written.is_some_and(|time| time.elapsed().is_ok_and(|passed| passed > age))
        };
        let names = dir.names()?.into_iter().filter(old);
        Ok(names.filter_map(|name| format!("sha256:{name}").parse().ok()).collect())
    }

    /// Removes one of our own blobs; one that is not there is fine.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self, digest: &Digest) -> Result<()> {
        match Place::find(&dir(&self.roots.data, digest))? {
            Some(dir) => dir.remove_file(digest.hex()).map(drop),
            None => Ok(()),
        }
    }
}

/// Removes an unfinished download that nobody writes. The lock is held meanwhile, so nobody takes it up.
fn remove_unused(tmp: &Place, name: &str) -> Result<()> {
    match open_regular(tmp.as_fd(), name, OFlag::O_RDONLY) {
        Ok(file) if file.try_lock().is_err() => Ok(()),
        // What is no file is nobody's work.
        _held => tmp.remove_file(name).map(drop),
    }
}

/// The directory of a data root that a blob lies in.
fn dir(data: &Path, digest: &Digest) -> std::path::PathBuf {
    data.join("oci/blobs").join(digest.algorithm())
}

/// Reads small blobs, and keeps the directories open that they are in.
pub(super) struct Reader<'a> {
    blobs: &'a Blobs,
    dirs: BTreeMap<PathBuf, Option<Place>>,
}

impl Reader<'_> {
    /// Reads a small blob whole and verifies it once more; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read, is larger than [`SMALL_BLOB_MAX`] or its bytes do not match its digest.
    pub(super) fn read(&mut self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        for data in self.blobs.roots.readable() {
            let path = dir(data, digest);
            let place = match self.dirs.entry(path) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let found = Place::find(new.key())?;
                    new.insert(found)
                }
            };
            let Some(place) = place else { continue };
            let read = read_bytes(place.as_fd(), digest.hex(), SMALL_BLOB_MAX);
            if let Some(bytes) = read.map_err(|e| failed("read", &place.path().join(digest.hex()), e))? {
                return verified(bytes, digest).map(Some);
            }
        }
        Ok(None)
    }
}

fn verified(bytes: Vec<u8>, digest: &Digest) -> Result<Vec<u8>> {
    let mut hash = Hasher::new(digest);
    hash.update(&bytes);
    if hash.finish() != *digest {
        return Err(Error::new(Kind::Storage, format!("blob {digest} is damaged on disk"))
            .hint("Remove the image and pull it again: coracle rmi IMAGE && coracle pull IMAGE"));
    }
    Ok(bytes)
}

fn is_at(data: &Path, digest: &Digest) -> bool {
    matches!(Place::find(&dir(data, digest)), Ok(Some(dir)) if dir.has_file(digest.hex()))
}

/// The name in `tmp/` of what was downloaded of a blob.
fn partial(digest: &Digest) -> String {
    format!("{PARTIAL}{}-{}", digest.algorithm(), digest.hex())
}

/// Writes the two fixed files of an OCI image layout.
pub(super) fn initialise(data: &Path) -> Result<()> {
    let oci = Place::open(&data.join("oci"))?;
    oci.replace_bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, Durability::Volatile)?;
    if oci.has_file("index.json") {
        return Ok(());
    }
    oci.replace_bytes("index.json", br#"{"schemaVersion":2,"manifests":[]}"#, Durability::Volatile)
}

/// The hash function a digest asks for.
pub(super) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub(super) fn new(digest: &Digest) -> Self {
        if digest.algorithm() == "sha512" {
            Hasher::Sha512(Sha512::new())
        } else {
            Hasher::Sha256(Sha256::new())
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(h) => h.update(bytes),
            Hasher::Sha512(h) => h.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(h) => Digest::from_sha256(h.finalize().into()),
            Hasher::Sha512(h) => Digest::from_sha512(h.finalize().into()),
        }
    }
}

/// A file that grows, and who waits for it.
struct Growing {
    file: File,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    length: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Verified,
    GivenUp,
}

impl Growing {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is plain numbers, right at every instant, so a panicked holder leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

/// A blob on its way into the store. Dropped before `finish`, it leaves nothing visible.
pub struct BlobWriter {
    growing: Arc<Growing>,
    hash: Hasher,
    digest: Digest,
    size: Option<u64>,
    written: u64,
    tmp: Place,
    temporary: String,
    target: Place,
    finished: bool,
    /// Whether what is written is of use to a later writer.
    keep: bool,
}

impl BlobWriter {
    /// Where it is while it grows, for messages.
    fn path(&self) -> std::path::PathBuf {
        self.tmp.path().join(&self.temporary)
    }

    /// Hashes the existing contents and continues after them.
    fn take_up(&mut self) -> Result<()> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = (&self.growing.file).read(&mut buffer);
            let count = count.map_err(|e| failed("read", &self.path(), e))?;
            if count == 0 {
                break;
            }
            self.hash.update(&buffer[..count]);
            self.written += count as u64;
        }
        if self.size.is_some_and(|size| self.written > size) {
            self.growing.file.set_len(0).map_err(|e| failed("truncate", &self.path(), e))?;
            (&self.growing.file).rewind().map_err(|e| failed("rewind", &self.path(), e))?;
            self.hash = Hasher::new(&self.digest);
            self.written = 0;
        }
        let length = self.written;
        self.growing.change(|state| state.length = length);
        Ok(())
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// When the blob grows beyond its promised size, or the file system refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let length = self.written + bytes.len() as u64;
        if let Some(size) = self.size
            && length > size
        {
            return Err(self.lies(format!("it is longer than the promised {size} bytes")));
        }
        (&self.growing.file).write_all(bytes).map_err(|e| failed("write", &self.path(), e))?;
        self.hash.update(bytes);
        if length / WRITEBACK_STEP > self.written / WRITEBACK_STEP {
            sys::fd::begin_writeback(self.growing.file.as_fd());
        }
        self.written = length;
        self.growing.change(|state| state.length = length);
        Ok(())
    }

    /// How many bytes there are, which is where an interrupted download resumes.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Follows this blob from its first byte while it is written.
    pub fn reader(&self) -> BlobReader {
        BlobReader { growing: self.growing.clone(), offset: 0 }
    }

    /// Verifies size and digest and makes the blob visible.
    ///
    /// # Errors
    /// [`Kind::Image`] when size or digest do not match; nothing is kept then.
    pub fn finish(mut self) -> Result<()> {
        if let Some(size) = self.size
            && self.written != size
        {
            return Err(self.lies(format!("it has {} bytes instead of {size}", self.written)));
        }
        let found = std::mem::replace(&mut self.hash, Hasher::new(&self.digest)).finish();
        if found != self.digest {
            return Err(self.lies(format!("its content has the digest {found}")));
        }
        let created = self.tmp.rename(&self.temporary, &self.target, self.digest.hex());
        created
            .map_err(|e: Errno| failed("create", &self.target.path().join(self.digest.hex()), e.into()))?;
        crate::failpoint::reach("blob.finished");
        self.finished = true;
        self.growing.change(|state| state.end = End::Verified);
        Ok(())
    }

    fn lies(&mut self, how: String) -> Error {
        self.keep = false;
        Error::new(Kind::Image, format!("blob {} is not what was promised: {how}", self.digest))
            .hint("The registry or a proxy in between sent wrong data. Try again; if it stays, tell the registry's owner.")
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.finished {
            if !self.keep || self.written == 0 {
                // What cannot be removed now is found by its missing lock later.
                let _ = self.tmp.remove_file(&self.temporary);
            }
            self.growing.change(|state| state.end = End::GivenUp);
        }
    }
}

/// Reads a blob while it is being written; blocks until bytes or the verified end are there.
pub struct BlobReader {
    growing: Arc<Growing>,
    offset: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.growing.state();
        while state.length <= self.offset && state.end == End::Open {
            state = self.growing.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let State { length, end } = *state;
        drop(state);
        if length <= self.offset {
            return if end == End::Verified { Ok(0) } else { Err(io::Error::other("the download stopped")) };
        }
        let room = usize::try_from(length - self.offset).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.growing.file.read_at(&mut buffer[..room], self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
