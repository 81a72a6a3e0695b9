//! Reading events: those that are kept, then those that happen.

use super::event::Event;
use super::files::{CURRENT, in_words, is_at, numbered, numbers};
use crate::storage::place::Place;
use crate::sys::fd::link_of;
use chrono::{DateTime, Utc};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;
/// How long a wait lasts where the user's inotify watches are used up.
const WITHOUT_INOTIFY: Duration = Duration::from_millis(250);

/// A place in the events of one data root.
#[derive(Debug)]
pub struct Reader {
    dir: Place,
    file: Option<File>,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
    inotify: Option<Inotify>,
}

impl Reader {
    pub(super) fn new(dir: Place, from_the_oldest: bool) -> io::Result<Reader> {
        let inotify = watch(&dir).ok();
        let mut reader = Reader { dir, file: None, rest: Vec::new(), inotify };
        if !from_the_oldest {
            reader.file = open(&reader.dir, CURRENT)?;
            if let Some(file) = &mut reader.file {
                file.seek(SeekFrom::End(0))?;
            }
        }
        Ok(reader)
    }

    /// Passes over the files that hold only what happened before `since`.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn skip_to(&mut self, since: DateTime<Utc>) -> io::Result<()> {
        for number in numbers(&self.dir)? {
            let Some(file) = open(&self.dir, &numbered(number))? else { continue };
            let over = DateTime::<Utc>::from(file.metadata()?.modified()?) < since;
            self.file = Some(file);
            if !over {
                break;
            }
        }
        Ok(())
    }

    /// Hands on every event that is there, in order; `take` ends the reading by giving false.
    ///
    /// # Errors
    /// When a file cannot be read; lines that make no sense are passed over.
    pub fn read(&mut self, mut take: impl FnMut(Event) -> bool) -> io::Result<()> {
        loop {
            if self.file.is_none() {
                self.file = self.after(None)?;
            }
            if !self.read_file(&mut take)? || !self.advance(&mut take)? {
                return Ok(());
            }
        }
    }

    /// Waits until something may have happened, `limit` at most.
    pub fn wait(&mut self, limit: Option<Duration>) {
        let longest = if self.inotify.is_some() { limit } else { Some(limit.unwrap_or(WITHOUT_INOTIFY)) };
        let longest = match &self.inotify {
            None => longest.map(|l| l.min(WITHOUT_INOTIFY)),
            Some(_) => longest,
        };
        let timeout = longest.map_or(PollTimeout::NONE, |l| {
            PollTimeout::try_from(l + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds: Vec<PollFd<'_>> =
            self.inotify.iter().map(|i| PollFd::new(i.as_fd(), PollFlags::POLLIN)).collect();
        // A signal is a reason to look again as good as any.
        let _ = poll(&mut fds, timeout);
        if let Some(inotify) = &self.inotify {
            while inotify.read_events().is_ok() {}
        }
    }

    /// Reads the open file to its end; false when `take` wants no more.
    fn read_file(&mut self, take: &mut impl FnMut(Event) -> bool) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(true) };
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = match file.read(&mut chunk) {
                Ok(0) => return Ok(true),
                Ok(length) => length,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.rest.extend_from_slice(&chunk[..length]);
            let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else { continue };
            let whole: Vec<u8> = self.rest.drain(..=end).collect();
            for line in whole.split(|b| *b == b'\n') {
                if let Some(event) = Event::from_line(line)
                    && !take(event)
                {
                    return Ok(false);
                }
            }
        }
    }

    /// Goes on to the next file; false when the open one is still written to, or `take` wants no more.
    fn advance(&mut self, take: &mut impl FnMut(Event) -> bool) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let own = file.metadata()?.ino();
        let current = open(&self.dir, CURRENT)?;
        if current.as_ref().is_some_and(|c| c.metadata().is_ok_and(|m| m.ino() == own)) {
            return Ok(false);
        }
        // Put aside: from here on nothing is added, but something was since we came to its end.
        if !self.read_file(take)? {
            return Ok(false);
        }
        let Some(next) = self.after(Some(own))? else { return Ok(false) };
        self.file = Some(next);
        self.rest.clear();
        Ok(true)
    }

    /// The file after this one; the oldest without one, or when that one is not kept any more.
    fn after(&self, inode: Option<u64>) -> io::Result<Option<File>> {
        loop {
            let numbers = numbers(&self.dir)?;
            let mut later = Vec::new();
            for number in numbers.iter().rev() {
                let name = numbered(*number);
                if inode.is_some_and(|own| is_at(&self.dir, &name, own)) {
                    break;
                }
                later.push(name);
            }
            let next = open(&self.dir, later.pop().as_deref().unwrap_or(CURRENT))?;
            // Another may have been put aside since we looked, or while: a listing may then lack one and have
            // the one after it (readdir(3)). What was there before the second look began is in that one.
            if super::numbers(&self.dir)? == numbers {
                return Ok(next);
            }
        }
    }
}

fn open(dir: &Place, name: &str) -> io::Result<Option<File>> {
    dir.file(name, OFlag::O_RDONLY).map_err(in_words)
}

fn watch(dir: &Place) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let path = link_of(dir);
    inotify.add_watch(
        path.as_str(),
        AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO,
    )?;
    Ok(inotify)
}
