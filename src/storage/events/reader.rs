//! Reading events: stored ones, then new ones.

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
    /// What was read and not yet given, behind what was.
    unread: Vec<u8>,
    /// Up to where it was given.
    given: usize,
    /// Up to where it is known to have no line end.
    searched: usize,
    inotify: Option<Inotify>,
}

impl Reader {
    pub(super) fn new(dir: Place, from_the_oldest: bool) -> io::Result<Reader> {
        let inotify = watch(&dir).ok();
        let mut reader = Reader { dir, file: None, unread: Vec::new(), given: 0, searched: 0, inotify };
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

    /// The next event; `None` when there is none yet. Malformed lines are skipped.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_event(&mut self) -> io::Result<Option<Event>> {
        loop {
            while let Some(length) = memchr::memchr(b'\n', &self.unread[self.searched..]) {
                let line = self.given..self.searched + length;
                (self.given, self.searched) = (line.end + 1, line.end + 1);
                if let Some(event) = Event::from_line(&self.unread[line]) {
                    return Ok(Some(event));
                }
            }
            self.searched = self.unread.len();
            if self.file.is_none() {
                self.file = self.after(None)?;
            }
            if !self.fill()? && !self.advance()? {
                return Ok(None);
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

    /// Reads on in the open file; false at its end.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        self.unread.drain(..self.given);
        (self.given, self.searched) = (0, self.searched - self.given);
        let mut chunk = vec![0; CHUNK];
        let length = loop {
            match file.read(&mut chunk) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.unread.extend_from_slice(&chunk[..length]);
        Ok(length > 0)
    }

    /// Goes on to the next file; false when the open one is still written to.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let own = file.metadata()?.ino();
        let current = open(&self.dir, CURRENT)?;
        if current.as_ref().is_some_and(|c| c.metadata().is_ok_and(|m| m.ino() == own)) {
            return Ok(false);
        }
        // Put aside: from here on nothing is added, but something was since we came to its end.
        if self.fill()? {
            return Ok(true);
        }
        let Some(next) = self.after(Some(own))? else { return Ok(false) };
        self.file = Some(next);
        self.unread.clear();
        (self.given, self.searched) = (0, 0);
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
            // Another file may have been rotated in the meantime: a listing may then lack one and have
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
