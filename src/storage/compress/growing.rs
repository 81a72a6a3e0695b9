//! An archive that is compressed into a file, and read while it grows.
//!
//! Theory of operation. One thread reads the archive and gives its blocks to the pool, another takes them back in order
//! and appends them to a file without a name, which goes with this process. Readers wait for what is not there yet. So
//! an upload begins with the first block, and can begin again at any byte.

use super::{DEFLATE_END, GZIP_HEAD, Packed, Pool, Recipe, WINDOW};
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{Doing, Step};
use crate::image::Digest;
use crate::storage::blobs::{Blobs, Spool};
use crate::storage::unpack::decode::fill;
use flate2::Crc;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A block on its way from the pool, or the failure that ends the archive.
type Piece = Result<Receiver<io::Result<Packed>>>;

/// A compressed archive, whole or still growing.
pub struct CompressedArchive {
    file: Arc<File>,
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
}

#[derive(Default)]
struct State {
    length: u64,
    end: End,
}

#[derive(Default)]
enum End {
    #[default]
    Open,
    Done(Digest),
    /// `None` once it was told.
    Failed(Option<Error>),
}

impl CompressedArchive {
    /// Starts compressing what `open` gives, which a thread calls and reads to its end. Starts two threads.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn start(
        blobs: &Blobs,
        pool: &Pool,
        recipe: Recipe,
        open: impl FnOnce() -> Result<Box<dyn Read>> + Send + 'static,
    ) -> Result<Arc<CompressedArchive>> {
        let spool = blobs.spool()?.nameless()?;
        let archive = Arc::new(CompressedArchive {
            file: spool.file(),
            state: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let (to, pieces) = sync_channel(pool.threads + 1);
        let (jobs, reader) = (pool.jobs.clone(), archive.clone());
        let cut = move || {
            let done = open().and_then(|archive| cut(archive, recipe, &jobs, &to, &reader.stop));
            if let Err(e) = done {
                // The other end has a failure of its own.
                let _ = to.send(Err(e));
            }
        };
        let writer = archive.clone();
        let join = move || {
            let end = match writer.join(spool, recipe, &pieces) {
                Ok(digest) => End::Done(digest),
                Err(e) => End::Failed(Some(e)),
            };
            writer.state().end = end;
            writer.changed.notify_all();
        };
        let start = |name: &str| std::thread::Builder::new().name(name.into());
        start("archive").spawn(cut).doing(Step::Start, "a thread")?;
        start("join").spawn(join).doing(Step::Start, "a thread")?;
        Ok(archive)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Right at every instant, so a panicked holder leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the blocks; gives the digest of the whole.
    fn join(&self, mut spool: Spool, recipe: Recipe, pieces: &Receiver<Piece>) -> Result<Digest> {
        let (mut crc, mut total) = (Crc::new(), 0u32);
        let mut append = |bytes: &[u8]| -> Result<()> {
            let failed = |e: io::Error| {
                e.downcast::<Error>()
                    .unwrap_or_else(|e| Error::new(Kind::Storage, "write a compressed layer").caused_by(e))
            };
            spool.write_all(bytes).map_err(failed)?;
            self.state().length += bytes.len() as u64;
            self.changed.notify_all();
            Ok(())
        };
        if !recipe.zstd {
            append(&GZIP_HEAD)?;
        }
        for piece in pieces {
            let lost = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            let packed = piece?.recv().map_err(lost).flatten();
            let packed = packed.context(Kind::Storage, || "compress a layer")?;
            append(&packed.bytes)?;
            total = total.wrapping_add(packed.crc.amount());
            crc.combine(&packed.crc);
        }
        if !recipe.zstd {
            append(&DEFLATE_END)?;
            append(&[crc.sum().to_le_bytes(), total.to_le_bytes()].concat())?;
        }
        Ok(spool.seal().digest().clone())
    }

    /// Waits until there are more than these bytes, or all.
    fn wait(&self, more_than: u64) -> MutexGuard<'_, State> {
        let mut state = self.state();
        while state.length <= more_than && matches!(state.end, End::Open) && !self.is_given_up() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    fn is_given_up(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Reads bytes from a place on; waits for them. 0 is the end.
    ///
    /// # Errors
    /// The archive could not be read or written, or was given up.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.wait(offset);
        if state.length > offset {
            let room = usize::try_from(state.length - offset).unwrap_or(usize::MAX).min(buffer.len());
            drop(state);
            return self.file.read_at(&mut buffer[..room], offset);
        }
        match &mut state.end {
            End::Done(_) => Ok(0),
            End::Failed(why) => Err(why.take().map_or_else(given_up, io::Error::other)),
            End::Open => Err(given_up()),
        }
    }

    /// How many bytes it has, once that is known.
    pub fn length(&self) -> Option<u64> {
        let state = self.state();
        matches!(state.end, End::Done(_)).then_some(state.length)
    }

    /// Waits for its end; gives digest and size in bytes.
    ///
    /// # Errors
    /// As [`CompressedArchive::read_at`].
    pub fn finish(&self) -> Result<(Digest, u64)> {
        let mut state = self.wait(u64::MAX);
        let length = state.length;
        let unknown = || Error::new(Kind::Storage, "compress a layer").caused_by(given_up());
        match &mut state.end {
            End::Done(digest) => Ok((digest.clone(), length)),
            End::Failed(why) => Err(why.take().unwrap_or_else(unknown)),
            End::Open => Err(unknown()),
        }
    }

    /// Ends the work, and the waiting.
    pub fn give_up(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // Whoever is about to wait has looked at the flag, or will be woken.
        drop(self.state());
        self.changed.notify_all();
    }
}

fn given_up() -> io::Error {
    io::Error::other("it was given up")
}

/// Gives the blocks of an archive to the pool, and says in which order they come back.
fn cut(
    mut archive: Box<dyn Read>,
    recipe: Recipe,
    jobs: &SyncSender<super::Job>,
    to: &SyncSender<Piece>,
    stop: &AtomicBool,
) -> Result<()> {
    let mut before = Vec::new();
    for at in 0u64.. {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Runtime, "interrupted"));
        }
        let mut block = vec![0; recipe.block()];
        let count = fill(&mut archive, &mut block).map_err(|e| {
            e.downcast::<Error>().unwrap_or_else(|e| Error::new(Kind::Storage, "read a layer").caused_by(e))
        })?;
        // A zstd stream of nothing has a frame all the same.
        if count == 0 && (at > 0 || !recipe.zstd) {
            break;
        }
        block.truncate(count);
        let next = match recipe.zstd {
            true => Vec::new(),
            false => block[count.saturating_sub(WINDOW)..].to_vec(),
        };
        let (reply, piece) = sync_channel(1);
        let job = super::Job { recipe, block, before: std::mem::replace(&mut before, next), to: reply };
        if to.send(Ok(piece)).is_err() || jobs.send(job).is_err() {
            break;
        }
    }
    Ok(())
}
