//! Compressing archives on all cores, the same way each time.
//!
//! Theory of operation. An archive is cut into blocks of a fixed size, which the threads of a [`Pool`] compress side by
//! side, whichever archive they are of; they are written in order. A gzip stream is one member: each block is deflated
//! with the end of the one before as its dictionary, and ended at a byte. A zstd stream has a frame for each block. What
//! comes out depends on the archive and the [`Recipe`] alone, not on how many threads there are.

mod growing;

pub use growing::CompressedArchive;

use crate::error::{Error, Kind, Result};
use crate::fork::{Doing, Step};
use crate::image::media::Compression;
use flate2::{Compress, Crc, FlushCompress};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Bytes of a block for gzip.
const GZIP_BLOCK: usize = 512 << 10;
/// Bytes of a block for zstd: so few that many threads with a block each take little memory.
const ZSTD_BLOCK: usize = 1 << 20;
/// What deflate can look back at, in bytes.
const WINDOW: usize = 32 << 10;
/// Most threads.
const THREADS_MAX: usize = 16;
/// How a gzip stream begins: no name, no time, no system (RFC 1952).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The empty last block of a deflate stream (RFC 1951).
const DEFLATE_END: [u8; 2] = [3, 0];

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recipe {
    /// Whether by zstd; else by gzip.
    zstd: bool,
    level: i32,
}

impl Default for Recipe {
    /// gzip at podman's level.
    fn default() -> Self {
        Recipe { zstd: false, level: 5 }
    }
}

impl Recipe {
    /// A recipe for gzip, levels 1 to 9 (5), or zstd, levels 1 to 20 (3).
    ///
    /// # Errors
    /// [`Kind::Usage`] for another level, or none of both.
    pub fn new(compression: Compression, level: Option<i32>) -> Result<Recipe> {
        let (zstd, usual, most) = match compression {
            Compression::Gzip => (false, 5, 9),
            Compression::Zstd => (true, 3, 20),
            Compression::None => {
                return Err(Error::new(Kind::Usage, "layers are not pushed without compression"));
            }
        };
        match level.unwrap_or(usual) {
            level if (1..=most).contains(&level) => Ok(Recipe { zstd, level }),
            level => {
                let name = if zstd { "zstd" } else { "gzip" };
                Err(Error::new(
                    Kind::Usage,
                    format!("compression level {level} is not one of {name}'s, 1 to {most}"),
                ))
            }
        }
    }

    /// What comes of it.
    pub fn compression(self) -> Compression {
        if self.zstd { Compression::Zstd } else { Compression::Gzip }
    }

    fn block(self) -> usize {
        if self.zstd { ZSTD_BLOCK } else { GZIP_BLOCK }
    }
}

/// A block to be compressed.
struct Job {
    recipe: Recipe,
    block: Vec<u8>,
    /// The end of the block before.
    before: Vec<u8>,
    to: SyncSender<io::Result<Packed>>,
}

/// A compressed block.
struct Packed {
    bytes: Vec<u8>,
    /// Of the block as it was.
    crc: Crc,
}

/// Threads that compress. They end with it.
#[derive(Debug)]
pub struct Pool {
    jobs: SyncSender<Job>,
    threads: usize,
}

impl Pool {
    /// As many threads as there are processors (rule 1: in a leaf).
    ///
    /// # Errors
    /// When none can be started.
    pub fn new() -> Result<Pool> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let (jobs, queue) = sync_channel::<Job>(threads);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = queue.clone();
            let thread = thread::Builder::new().name("compress".into()).spawn(move || work(&queue));
            thread.doing(Step::Start, "a thread")?;
        }
        Ok(Pool { jobs, threads })
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    let mut deflaters: HashMap<Recipe, Compress> = HashMap::new();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { recipe, block, before, to }) = next else { return };
        let packed = match recipe.zstd {
            true => zstd::bulk::compress(&block, recipe.level),
            false => {
                let level = flate2::Compression::new(recipe.level.unsigned_abs());
                let deflater = deflaters.entry(recipe).or_insert_with(|| Compress::new(level, false));
                deflate(deflater, &before, &block)
            }
        };
        let packed = packed.map(|bytes| {
            let mut crc = Crc::new();
            if !recipe.zstd {
                crc.update(&block);
            }
            Packed { bytes, crc }
        });
        // Nobody waits for it where the archive was given up.
        let _ = to.send(packed);
    }
}

/// A block of a deflate stream that ends at a byte and is not the last.
fn deflate(deflater: &mut Compress, before: &[u8], block: &[u8]) -> io::Result<Vec<u8>> {
    deflater.reset();
    if !before.is_empty() {
        deflater.set_dictionary(before)?;
    }
    let mut out = Vec::with_capacity(block.len() + (block.len() >> 8) + 64);
    loop {
        let taken = usize::try_from(deflater.total_in()).unwrap_or(usize::MAX);
        let rest = block.get(taken..).unwrap_or_default();
        deflater.compress_vec(rest, &mut out, FlushCompress::Sync)?;
        let all = deflater.total_in() == block.len() as u64;
        // With room left there is nothing more to come.
        if all && out.len() < out.capacity() {
            return Ok(out);
        }
        out.reserve(64 << 10);
    }
}

#[cfg(test)]
mod tests;
