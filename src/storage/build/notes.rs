//! What builders remember: bytes that mean something to them alone.

use super::BuildCache;
use crate::error::Result;
use crate::image::Digest;
use crate::storage::SharedLock;
use crate::storage::place::Place;
use crate::storage::record::{Durability, read_bytes};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

pub(super) const CONTEXTS: &str = "contexts";
pub(super) const MEMO: &str = "memo";
/// Largest note that is read, in bytes: 200 for each of a million files.
const NOTE_MAX: u64 = 200 << 20;
/// The time of a note says when it was used last, to that precision.
const NOTED_EVERY: Duration = Duration::from_secs(3600);

impl BuildCache {
    /// What was [remembered](BuildCache::remember) of a build context. `identity` says which one it is.
    pub fn remembered(&self, identity: &str) -> Option<Vec<u8>> {
        self.note(CONTEXTS, &Digest::sha256_of(identity.as_bytes()))
    }

    /// Remembers something of a build context, in place of what was before.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remember(&self, _lock: &SharedLock, identity: &str, bytes: &[u8]) -> Result<()> {
        self.write_note(CONTEXTS, &Digest::sha256_of(identity.as_bytes()), bytes)
    }

    /// What was [noted](BuildCache::set_memo) under a digest of what it depends on.
    pub fn memo(&self, key: &Digest) -> Option<Vec<u8>> {
        self.note(MEMO, key)
    }

    /// Notes something small under a digest of what it depends on, which is a digest of stored content.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn set_memo(&self, _lock: &SharedLock, key: &Digest, bytes: &[u8]) -> Result<()> {
        self.write_note(MEMO, key, bytes)
    }

    fn note(&self, part: &str, key: &Digest) -> Option<Vec<u8>> {
        let dir = self.part(part).ok()??;
        let bytes = read_bytes(dir.as_fd(), key.hex(), NOTE_MAX).ok()??;
        keep_fresh(&dir, key.hex());
        Some(bytes)
    }

    fn write_note(&self, part: &str, key: &Digest, bytes: &[u8]) -> Result<()> {
        self.make_part(part)?.replace_bytes(key.hex(), bytes, Durability::Volatile)
    }
}

/// Notes the use of something by its time.
fn keep_fresh(dir: &Place, name: &str) {
    let old = |written: i64| {
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(written.unsigned_abs());
        written.elapsed().is_ok_and(|passed| passed > NOTED_EVERY)
    };
    if dir.look(name).ok().flatten().is_some_and(|found| old(found.st_mtime)) {
        // It only goes earlier when it is not noted.
        let _ =
            utimensat(dir, name, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW, UtimensatFlags::NoFollowSymlink);
    }
}
