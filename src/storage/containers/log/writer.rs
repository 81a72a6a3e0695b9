//! Appends to log files.

use super::{BLOCK, Form, Options, Place, Stream, json, stamp};
use crate::error::{Context, Kind, Result};
use crate::storage::containers::ContainerDir;
use chrono::Utc;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// What a line in podman's format needs besides its text: time, stream, tag, spaces, line end.
const HEAD_MAX: usize = 64;
/// Where the text of a line of podman's form starts.
const HEAD: usize = 40;
/// Most bytes that one byte of output takes in JSON: `\u0000`.
const JSON_GROWTH: usize = 6;
/// The smallest useful rotation step; smaller limits count as twice this.
const STEP_MIN: u64 = 4096;
/// The part of a rotation step, as a divisor, that is kept for the end of a line that was begun.
const RESERVE: u64 = 8;

/// Appends to a container's log. Keeps one block of memory.
#[derive(Debug)]
pub struct Writer {
    place: Place,
    form: Form,
    /// The tag as JSON, with the surrounding text.
    attributes: String,
    file: File,
    size: u64,
    step: Option<u64>,
    /// How many files there may be.
    files: u32,
    torn: bool,
    /// What the file ends with is not the end of a line of output.
    mid_line: bool,
    pub(super) block: Vec<u8>,
    /// What the block ends with is not.
    block_mid_line: bool,
    /// The beginnings of characters that came last on each stream, for JSON, which holds whole ones.
    begun: [Vec<u8>; 2],
}

impl Writer {
    /// Opens the log for appending.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(container: &ContainerDir, options: &Options<'_>) -> Result<Writer> {
        let opened = Place::of(container, options.path).and_then(|place| Writer::open_at(place, options));
        opened.context(Kind::Storage, || match options.path {
            Some(path) => format!("open the log {}", path.display()),
            None => format!("open the log of container {}", container.id().short()),
        })
    }

    pub(super) fn open_at(place: Place, options: &Options<'_>) -> io::Result<Writer> {
        let file = open_current(&place)?;
        let size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        let (files, share) = match options.max_file {
            Some(files @ 2..) => (files, 1),
            _ => (2, 2),
        };
        Ok(Writer {
            place,
            form: options.form,
            attributes: options.tag.map(json::attributes).unwrap_or_default(),
            file,
            size,
            step: options.max_size.map(|max| (max / share).max(STEP_MIN)),
            files,
            torn: last != *b"\n",
            mid_line: false,
            // Most containers that live long say little.
            block: Vec::new(),
            block_mid_line: false,
            begun: [Vec::new(), Vec::new()],
        })
    }

    /// Appends what the payload wrote. After an error the log goes on with the next call; what was lost
    /// is lost.
    ///
    /// # Errors
    /// When the file cannot be written or rotated.
    pub fn append(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let time = stamp(Utc::now());
        // No block may be larger than a rotation step, or the limit would not hold.
        let limit = self.step.map_or(BLOCK, |step| (step - step / RESERVE).min(BLOCK as u64) as usize);
        match self.form {
            Form::K8s => self.append_text(stream, bytes, &time, limit)?,
            Form::Json => {
                let mut text = std::mem::take(self.begun_on(stream));
                text.extend_from_slice(bytes);
                let begun = text.split_off(text.len() - json::begun(&text));
                *self.begun_on(stream) = begun;
                self.append_json(stream, &text, &time, limit)?;
            }
        }
        self.flush()
    }

    fn begun_on(&mut self, stream: Stream) -> &mut Vec<u8> {
        &mut self.begun[usize::from(stream == Stream::Stderr)]
    }

    /// A payload that floods us waits for this loop: one copy of a head of fixed length and one of the
    /// text per line, and no other call.
    fn append_text(&mut self, stream: Stream, bytes: &[u8], time: &str, limit: usize) -> io::Result<()> {
        let mut head = [b' '; HEAD];
        let text = format!("{time} {} F ", stream.word());
        let Some(text) = text.as_bytes().get(..HEAD) else { return Err(Errno::ERANGE.into()) };
        head.copy_from_slice(text);
        let mut rest = bytes;
        while !rest.is_empty() {
            // A line above a block goes out as pieces.
            let window = &rest[..rest.len().min(limit - HEAD_MAX)];
            let (length, full) = match memchr::memchr(b'\n', window) {
                Some(end) => (end, true),
                None => (window.len(), false),
            };
            if self.block.len() + HEAD_MAX + length > limit && !self.block.is_empty() {
                self.flush()?;
            }
            let start = self.block.len();
            self.block.extend_from_slice(&head);
            if !full {
                self.block[start + HEAD - 2] = b'P';
            }
            if full {
                self.block.extend_from_slice(&rest[..=length]);
            } else {
                self.block.extend_from_slice(window);
                self.block.push(b'\n');
            }
            self.line_done(full)?;
            rest = &rest[length + usize::from(full)..];
        }
        Ok(())
    }

    fn append_json(&mut self, stream: Stream, bytes: &[u8], time: &str, limit: usize) -> io::Result<()> {
        let around = 2 * HEAD_MAX + self.attributes.len();
        let most = (limit.saturating_sub(around) / JSON_GROWTH).max(4);
        let mut rest = bytes;
        while !rest.is_empty() {
            let window = &rest[..rest.len().min(most)];
            // No character is cut in two; what ends all has no more to come.
            let whole =
                if window.len() < rest.len() { window.len() - json::begun(window) } else { rest.len() };
            let length = memchr::memchr(b'\n', window).map_or(whole, |end| end + 1);
            let piece = &rest[..length];
            if self.block.len() + around + length * JSON_GROWTH > limit && !self.block.is_empty() {
                self.flush()?;
            }
            json::encode(&mut self.block, piece, stream, &self.attributes, time);
            self.line_done(piece.ends_with(b"\n"))?;
            rest = &rest[length..];
        }
        Ok(())
    }

    fn line_done(&mut self, full: bool) -> io::Result<()> {
        self.block_mid_line = !full;
        // The end of a line that was begun goes out alone: what follows may be for a new file.
        if self.mid_line && self.step.is_some() { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.block);
        let written = self.write_block(&block);
        block.clear();
        self.block = block;
        written
    }

    fn write_block(&mut self, block: &[u8]) -> io::Result<()> {
        if let Some(step) = self.step
            && self.size > 0
            && self.size + block.len() as u64 > if self.mid_line { step } else { step - step / RESERVE }
        {
            self.rotate()?;
        }
        if std::mem::replace(&mut self.torn, false) {
            self.file.write_all(b"\n").inspect_err(|_| self.torn = true)?;
            self.size += 1;
        }
        self.torn = true;
        self.file.write_all(block)?;
        self.torn = false;
        self.mid_line = self.block_mid_line;
        self.size += block.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for older in (1..self.files).rev() {
            let (from, to) = (self.place.part(older - 1), self.place.part(older));
            match renameat(&self.place.dir, from.as_str(), &self.place.dir, to.as_str()) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.file = open_current(&self.place)?;
        self.size = 0;
        self.torn = false;
        Ok(())
    }
}

impl Drop for Writer {
    /// What was begun has no end.
    fn drop(&mut self) {
        let time = stamp(Utc::now());
        for stream in [Stream::Stdout, Stream::Stderr] {
            let begun = std::mem::take(self.begun_on(stream));
            if !begun.is_empty() {
                json::encode(&mut self.block, &begun, stream, &self.attributes, &time);
                // A log that takes no more is reported while there is more to come.
                let _ = self.flush();
            }
        }
    }
}

fn open_current(place: &Place) -> io::Result<File> {
    let flags = OFlag::O_RDWR
        | OFlag::O_APPEND
        | OFlag::O_CREAT
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_CLOEXEC;
    Ok(File::from(openat(&place.dir, place.name.as_str(), flags, Mode::from_bits_truncate(0o600))?))
}
