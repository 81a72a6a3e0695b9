//! The event log: one line per event, in a file to which every process appends.
//!
//! Theory of operation. `events/current` is opened with `O_APPEND` and written with one write(2) per event,
//! which the kernel does not interleave with others. Writers hold a shared flock(2) for that moment. A writer
//! that finds the file full takes the lock exclusively, if it is free, and renames the file to the next number.
//! So that nobody writes to a rotated file, a writer that has waited for the lock checks whether `current` is
//! still the file it opened. With many writers the lock is hardly ever free, so at twice the size each of them
//! waits for it, and the first one rotates the file. A reader that has reached the end of a file that is no
//! longer `current` has therefore seen all of it.
//!
//! A writer that was killed during its write, or found the disk full, leaves an incomplete line, and the next
//! event follows on it. Each line starts with [`event::OPENING`], which cannot occur inside JSON text, so a
//! reader still finds that next event.
//!
//! An event that cannot be written is lost; the command that reports it does not fail.

mod event;
mod files;
mod reader;

pub use event::{Action, Event, Type};
pub use reader::Reader;

use files::{CURRENT, in_words, is_at, numbered, numbers};

use super::place::Place;
use nix::fcntl::OFlag;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file of this size is rotated.
const FULL: u64 = 4 << 20;
/// How many rotated files are kept; one that was written to recently is kept in any case.
const KEPT: usize = 8;
/// What counts as lately.
const LATELY: Duration = Duration::from_secs(3600);
/// Longest line; an event that is longer, by its labels, loses them.
const LINE_MAX: usize = 32 << 10;
/// How often a writer looks for the file again.
const ATTEMPTS: u32 = 100;

/// The events of one data root.
#[derive(Debug, Clone)]
pub struct Events {
    dir: PathBuf,
    full: u64,
}

impl Events {
    /// The events below this data root. Touches nothing.
    pub fn new(data: &Path) -> Events {
        Events { dir: data.join("events"), full: FULL }
    }

    /// Tells of something that has happened. To be called once it is durable.
    pub fn emit(&self, event: Event) {
        self.emit_all(&[event]);
    }

    /// Tells of several things that have happened.
    pub fn emit_all(&self, events: &[Event]) {
        let lines: Vec<u8> = events.iter().flat_map(|event| event.line(LINE_MAX)).collect();
        if let Err(error) = self.append(&lines) {
            log::info!("{} events are lost: {error}", events.len());
        }
    }

    /// A reader from the oldest event that is kept, or from the next one that happens.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn reader(&self, from_the_oldest: bool) -> io::Result<Reader> {
        // So that there is something to watch.
        Reader::new(make(&self.dir)?, from_the_oldest)
    }

    fn has_store(&self) -> bool {
        let data = self.dir.parent().map(Place::find);
        matches!(data, Some(Ok(Some(data))) if data.has_file("version"))
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let dir = match Place::find(&self.dir) {
            Ok(Some(dir)) => dir,
            // Its parts go in an order: where there is no version any more, somebody is taking the store away, and a
            // monitor at its end is not to bring a part of it back.
            Ok(None) if !self.has_store() => return Ok(()),
            _ => make(&self.dir)?,
        };
        let mut rotated = false;
        for _ in 0..ATTEMPTS {
            let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT;
            let Some(mut file) = dir.file(CURRENT, flags).map_err(in_words)? else { continue };
            uninterrupted(|| file.lock_shared())?;
            let found = file.metadata()?;
            if !is_at(&dir, CURRENT, found.ino()) {
                continue;
            }
            if found.size() >= self.full && !rotated {
                file.unlock()?;
                // Once is enough: another process may be doing it, and the event matters more than the size.
                rotated = true;
                rotate(&dir, &file, found.size() >= 2 * self.full)?;
                continue;
            }
            return file.write_all(line);
        }
        Err(io::Error::other("the file of events keeps changing"))
    }
}

/// Rotates the full file, unless another process does or, if this is not `urgent`, is writing.
fn rotate(dir: &Place, file: &File, urgent: bool) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) if urgent => uninterrupted(|| file.lock())?,
        // It can be done later.
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(e)) => return Err(e),
        Ok(()) => {}
    }
    if !is_at(dir, CURRENT, file.metadata()?.ino()) {
        return Ok(());
    }
    let mut numbers = numbers(dir)?;
    let next = numbers.last().map_or(1, |last| last + 1);
    dir.rename(CURRENT, dir, &numbered(next))?;
    crate::failpoint::reach("events.aside");
    numbers.truncate((numbers.len() + 1).saturating_sub(KEPT));
    for old in numbers.into_iter().map(numbered) {
        let written = dir.look(&old).map_err(in_words)?.map_or(0, |found| found.st_mtime.unsigned_abs());
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(written);
        if SystemTime::now().duration_since(written).is_ok_and(|age| age > LATELY) {
            dir.remove_file(&old).map_err(in_words)?;
            crate::failpoint::reach("events.dropped");
        }
    }
    Ok(())
}

fn make(dir: &Path) -> io::Result<Place> {
    Place::make(dir).map_err(in_words)
}

fn uninterrupted(mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match work() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests;
