//! Data whose digest is not known in advance: it is written to a temporary file, hashed and examined, and only
//! then becomes a blob.
//!
//! Its size is not known either, and endless input would fill the disk: see [`room`].

use super::{Blobs, dir};
use crate::error::{Error, Kind, Result};
use crate::image::Digest;
use crate::storage::claim;
use crate::storage::place::{Place, TMP};
use crate::storage::record::failed;
use crate::storage::room;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

impl Blobs {
    /// Begins a file in `tmp/`, which its own process's end leaves to the next clean-up.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn spool(&self) -> Result<Spool> {
        let tmp = Place::make(&self.roots.data.join(TMP))?;
        let (name, file) = claim::new_file(&tmp)?;
        Ok(Spool {
            blobs: self.clone(),
            file: Arc::new(file),
            tmp,
            name: Some(name),
            hash: Sha256::new(),
            written: 0,
            look_at: 0,
        })
    }
}

/// A file that is being written. Dropped, it is deleted.
pub struct Spool {
    blobs: Blobs,
    file: Arc<File>,
    tmp: Place,
    /// Its name there, until it has another.
    name: Option<String>,
    hash: Sha256,
    written: u64,
    /// How many bytes are written when the room is looked at next.
    look_at: u64,
}

impl Write for Spool {
    /// Failures are [`Error`]s, with the advice that fits a file of the store.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written >= self.look_at {
            self.look_at = self.written + room::LOOK_EVERY;
            room::check(&*self.file, self.written, self.tmp.path()).map_err(io::Error::other)?;
        }
        let written = (&*self.file).write(bytes);
        let count = written.map_err(|e| match e.kind() {
            io::ErrorKind::Interrupted => e,
            _ => io::Error::other(failed("write", self.tmp.path(), e)),
        })?;
        self.hash.update(&bytes[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spool {
    /// The same without a name: it goes with this process in any case, and cannot be published.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn nameless(mut self) -> Result<Spool> {
        if let Some(name) = self.name.take() {
            self.tmp.remove_file(&name)?;
        }
        Ok(self)
    }

    /// The file itself.
    pub fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Takes everything from a reader. `stop` is asked now and then whether to give up.
    ///
    /// # Errors
    /// When the reader fails, the disk is full or it was told to stop.
    pub fn take(&mut self, mut from: impl Read, stop: &dyn Fn() -> bool) -> Result<()> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            if stop() {
                return Err(Error::new(Kind::Runtime, "interrupted"));
            }
            let count = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    return Err(e
                        .downcast::<Error>()
                        .unwrap_or_else(|e| Error::new(Kind::Image, "read the archive").caused_by(e)));
                }
            };
            self.write_all(&buffer[..count])
                .map_err(|e| e.downcast::<Error>().unwrap_or_else(|e| failed("write", self.tmp.path(), e)))?;
        }
    }

    /// Ends the writing: what is here has a digest now.
    pub fn seal(mut self) -> Sealed {
        let hash = std::mem::take(&mut self.hash).finalize();
        Sealed { digest: Digest::from_sha256(hash.into()), size: self.written, spool: self }
    }
}

/// A file with a digest that is not a blob yet. Dropped, it is deleted.
pub struct Sealed {
    digest: Digest,
    size: u64,
    spool: Spool,
}

impl Sealed {
    /// The digest of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file itself, which has no name any more once this value is dropped.
    pub fn file(&self) -> Arc<File> {
        self.spool.file.clone()
    }

    /// All of it, from the first byte.
    pub fn reader(&self) -> Section {
        Section::new(self.spool.file.clone(), 0, self.size)
    }

    /// Makes a blob of it, which is on the disk when this returns.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn publish(mut self) -> Result<Digest> {
        let target = Place::open(&dir(&self.spool.blobs.roots.data, &self.digest))?;
        self.spool.file.sync_all().map_err(|e| failed("sync", self.spool.tmp.path(), e))?;
        crate::failpoint::reach("blob.synced");
        if let Some(name) = &self.spool.name {
            let created = self.spool.tmp.rename(name, &target, self.digest.hex());
            created.map_err(|e| failed("create", &target.path().join(self.digest.hex()), e.into()))?;
        }
        crate::failpoint::reach("blob.placed");
        self.spool.name = None;
        target.sync()?;
        Ok(self.digest.clone())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What cannot be removed now is found by its missing lock later.
        if let Some(name) = &self.name {
            let _ = self.tmp.remove_file(name);
        }
    }
}

/// A piece of a file, read without moving the file's own position.
#[derive(Debug, Clone)]
pub struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
    stop: Option<Arc<AtomicBool>>,
}

impl Section {
    /// The bytes from `start` up to `end`.
    pub fn new(file: Arc<File>, start: u64, end: u64) -> Section {
        Section { file, at: start, end, stop: None }
    }

    /// Reading fails once the flag is set.
    #[must_use]
    pub fn until(self, stop: &Arc<AtomicBool>) -> Section {
        Section { stop: Some(stop.clone()), ..self }
    }

    /// How many bytes are left.
    pub fn left(&self) -> u64 {
        self.end - self.at
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(io::Error::other("interrupted"));
        }
        let room = usize::try_from(self.left()).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..room], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
