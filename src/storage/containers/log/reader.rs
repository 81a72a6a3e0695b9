//! Reads log files.

use super::tail::seek_to_tail;
use super::{BLOCK, FILES_MAX, Form, LINE_MAX, Line, Options, Place, json};
use crate::error::{Context, Kind, Result};
use crate::storage::containers::ContainerDir;
use nix::sys::stat::fstat;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;

/// Reads a container's log, the rotated parts first. Lines are borrowed from one buffer.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    form: Form,
    files: VecDeque<File>,
    current: Option<File>,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet given.
    unread: Range<usize>,
    /// Up to where the unread part is known to have no line end.
    searched: usize,
    /// A line's text, where it is not in the buffer as it is.
    text: Vec<u8>,
}

impl Reader {
    /// Opens the log at its beginning, or so that the last `tail` lines of output are left to read.
    ///
    /// # Errors
    /// When a file cannot be read. A container that never wrote has an empty log.
    pub fn open(container: &ContainerDir, options: &Options<'_>, tail: Option<u64>) -> Result<Reader> {
        Place::of(container, options.path)
            .and_then(|place| Reader::open_at(place, options.form, tail))
            .context(Kind::Storage, || format!("read the log of container {}", container.id().short()))
    }

    pub(super) fn open_at(place: Place, form: Form, tail: Option<u64>) -> io::Result<Reader> {
        let mut files: VecDeque<File> = VecDeque::new();
        let mut seen = Vec::new();
        // The newest first: if it is rotated in between, the next one is the same file.
        for number in 0..FILES_MAX {
            let Some(part) = place.open_part(number)? else {
                if number == 0 {
                    continue;
                }
                break;
            };
            let inode = fstat(&part)?.st_ino;
            if !seen.contains(&inode) {
                seen.push(inode);
                files.push_front(part);
            }
        }
        if let Some(tail) = tail {
            seek_to_tail(&mut files, form, tail)?;
        }
        Ok(Reader {
            place,
            form,
            files,
            current: None,
            buffer: Vec::new(),
            unread: 0..0,
            searched: 0,
            text: Vec::new(),
        })
    }

    /// The next line; `None` when there is none yet. Later calls see what was written meanwhile, also
    /// after a rotation.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let line = loop {
            let fresh = &self.buffer[self.searched..self.unread.end];
            let end = match memchr::memchr(b'\n', fresh) {
                Some(at) => self.searched + at + 1,
                None if self.unread.len() >= LINE_MAX => self.unread.end,
                None => {
                    self.searched = self.unread.end;
                    if self.fill()? || self.next_file()? {
                        continue;
                    }
                    return Ok(None);
                }
            };
            let line = self.unread.start..end;
            self.unread.start = end;
            self.searched = end;
            let found = match self.form {
                Form::K8s => Line::parse(&self.buffer[line.clone()]).is_some(),
                Form::Json => json::decode(&self.buffer[line.clone()], &mut self.text).is_some(),
            };
            if found {
                break line;
            }
        };
        // Anew, because the borrow checker cannot see that the loop ends with it.
        Ok(self.line(line))
    }

    /// What was read of a last line that has no end: its writer is at work, or was cut off.
    pub fn torn_line(&mut self) -> Option<Line<'_>> {
        match self.form {
            Form::K8s => self.line(self.unread.clone()),
            Form::Json => None,
        }
    }

    fn line(&mut self, range: Range<usize>) -> Option<Line<'_>> {
        match self.form {
            Form::K8s => Line::parse(&self.buffer[range]),
            Form::Json => json::decode(&self.buffer[range], &mut self.text),
        }
    }

    /// Reads on in the current file; false at its end.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.current else { return Ok(false) };
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.start > 0 {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        self.searched = self.unread.end;
        let room = self.unread.end + 4 * BLOCK;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let read = file.read(&mut self.buffer[self.unread.end..])?;
        self.unread.end += read;
        Ok(read > 0)
    }

    /// Goes on with the next file, if there is one.
    fn next_file(&mut self) -> io::Result<bool> {
        if self.files.is_empty() {
            self.find_newer()?;
            // The one being read may have got more before it was rotated.
            if !self.files.is_empty() && self.fill()? {
                return Ok(true);
            }
        }
        let Some(next) = self.files.pop_front() else { return Ok(false) };
        self.current = Some(next);
        // A line that the file before does not end was cut off there.
        self.unread = 0..0;
        self.searched = 0;
        Ok(true)
    }

    /// Looks for files that a rotation put behind the one being read.
    fn find_newer(&mut self) -> io::Result<()> {
        let own = self.current.as_ref().map(fstat).transpose()?.map(|found| found.st_ino);
        for number in 0..FILES_MAX {
            let Some(part) = self.place.open_part(number)? else {
                // Between the two steps of a rotation there is none.
                if number == 0 && own.is_some() {
                    continue;
                }
                break;
            };
            if Some(fstat(&part)?.st_ino) == own {
                return Ok(());
            }
            self.files.push_front(part);
        }
        Ok(())
    }
}
