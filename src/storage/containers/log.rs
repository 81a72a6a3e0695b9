//! The payload's output on disk, in podman's and Kubernetes' form: one line of text per line of output,
//! `<RFC 3339 time with nanoseconds> <stdout|stderr> <F|P> <bytes>`.
//!
//! Theory of operation. `F` ends a line of output; `P` is a piece of one whose end had not come yet, so
//! a prompt is on disk at once and the writer keeps nothing in memory. With a size limit, `log` becomes
//! `log.1` at half of it, so that both together stay within; a reserve below that half lets a line that
//! was begun end in the same file, so only lines longer than the reserve are cut by it. A write that was cut off (full disk, power
//! cut) leaves a torn line: the writer puts a line end before its next line, readers skip what is not a
//! line. Times are UTC and of fixed width, so they compare as text.

use super::ContainerDir;
use crate::error::{Context, Kind, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

const CURRENT: &str = "log";
const ROTATED: &str = "log.1";
/// Formatted bytes that are gathered before they are written.
const BLOCK: usize = 64 * 1024;
/// What a line needs beside its text: time, stream, tag, spaces, line end.
const HEAD_MAX: usize = 64;
/// The smallest useful rotation step; smaller limits count as twice this.
const STEP_MIN: u64 = 4096;
/// The part of a rotation step, as a divisor, that is kept for the end of a line that was begun.
const RESERVE: u64 = 8;
/// Longest line a reader takes; the writer's are shorter.
const LINE_MAX: u64 = 1024 * 1024;

/// Which of the payload's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output; a terminal's output too.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// A time in the log's form.
pub fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// Appends to a container's log. Keeps one block of memory.
#[derive(Debug)]
pub struct Writer {
    dir: OwnedFd,
    file: File,
    size: u64,
    step: Option<u64>,
    torn: bool,
    /// What the file ends with is not the end of a line of output.
    mid_line: bool,
    block: Vec<u8>,
    /// What the block ends with is not.
    block_mid_line: bool,
}

impl Writer {
    /// Opens the log for appending, `max_size` bytes at most with the rotated part, without limit when
    /// `None`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(container: &ContainerDir, max_size: Option<u64>) -> Result<Writer> {
        Writer::open_at(container.fd(), max_size)
            .context(Kind::Storage, || format!("open the log of container {}", container.id().short()))
    }

    fn open_at(dir: BorrowedFd<'_>, max_size: Option<u64>) -> io::Result<Writer> {
        let dir = dir.try_clone_to_owned()?;
        let file = open_current(&dir)?;
        let size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        let step = max_size.map(|max| (max / 2).max(STEP_MIN));
        let (torn, block) = (last != *b"\n", Vec::with_capacity(BLOCK + 256));
        Ok(Writer { dir, file, size, step, torn, mid_line: false, block, block_mid_line: false })
    }

    /// Appends what the payload wrote. After an error the log goes on with the next call; what was lost
    /// is lost.
    ///
    /// # Errors
    /// When the file cannot be written or rotated.
    pub fn append(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let head = format!("{} {} ", stamp(Utc::now()), stream.word());
        // No block may be larger than a rotation step, or the limit would not hold.
        let limit = self.step.map_or(BLOCK, |step| (step - step / RESERVE).min(BLOCK as u64) as usize);
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            // A line above a block goes out as pieces.
            let mut chunks = piece.chunks(limit - HEAD_MAX).peekable();
            while let Some(chunk) = chunks.next() {
                let (tag, text) = match chunk.strip_suffix(b"\n") {
                    Some(text) if chunks.peek().is_none() => (b"F ", text),
                    _ => (b"P ", chunk),
                };
                if !self.block.is_empty() && self.block.len() + HEAD_MAX + text.len() > limit {
                    self.flush()?;
                }
                self.block.extend_from_slice(head.as_bytes());
                self.block.extend_from_slice(tag);
                self.block.extend_from_slice(text);
                self.block.push(b'\n');
                self.block_mid_line = tag == b"P ";
                // The end of a line that was begun goes out alone: what follows may be for a new file.
                if self.mid_line && self.step.is_some() {
                    self.flush()?;
                }
            }
        }
        self.flush()
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
            renameat(&self.dir, CURRENT, &self.dir, ROTATED)?;
            self.file = open_current(&self.dir)?;
            self.size = 0;
            self.torn = false;
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
}

fn open_current(dir: &OwnedFd) -> io::Result<File> {
    let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(openat(dir, CURRENT, flags, Mode::from_bits_truncate(0o600))?))
}

/// One line of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// When the monitor got it, see [`stamp`].
    pub time: &'a [u8],
    /// Which output it came from.
    pub stream: Stream,
    /// Whether the line of output ends here.
    pub full: bool,
    /// The text, without line end.
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads a line, with or without its line end; `None` when it is not one.
    pub fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let space = line.iter().take(40).position(|&b| b == b' ')?;
        let (time, rest) = (&line[..space], &line[space + 1..]);
        if time.len() < 20 || !time[0].is_ascii_digit() {
            return None;
        }
        let (stream, rest) = match rest.split_at_checked(7)? {
            (b"stdout ", rest) => (Stream::Stdout, rest),
            (b"stderr ", rest) => (Stream::Stderr, rest),
            _ => return None,
        };
        let (full, text) = match rest {
            [b'F', b' ', text @ ..] => (true, text),
            [b'P', b' ', text @ ..] => (false, text),
            _ => return None,
        };
        Some(Line { time, stream, full, text })
    }
}

/// Reads a container's log, the rotated part first.
#[derive(Debug)]
pub struct Reader {
    dir: OwnedFd,
    files: VecDeque<File>,
    current: Option<BufReader<File>>,
    line: Vec<u8>,
    done: bool,
}

impl Reader {
    /// Opens the log at its beginning, or so that the last `tail` lines of output are left to read.
    ///
    /// # Errors
    /// When a file cannot be read. A container that never wrote has an empty log.
    pub fn open(container: &ContainerDir, tail: Option<u64>) -> Result<Reader> {
        Reader::open_at(container.fd(), tail)
            .context(Kind::Storage, || format!("read the log of container {}", container.id().short()))
    }

    fn open_at(dir: BorrowedFd<'_>, tail: Option<u64>) -> io::Result<Reader> {
        let dir = dir.try_clone_to_owned()?;
        // The current file first: if it is rotated in between, the other is the same file.
        let current = open_part(&dir, CURRENT)?;
        let rotated = open_part(&dir, ROTATED)?;
        let mut files: VecDeque<File> = rotated.into_iter().chain(current).collect();
        if let [a, b] = files.make_contiguous()
            && fstat(&*a)?.st_ino == fstat(&*b)?.st_ino
        {
            files.pop_front();
        }
        if let Some(tail) = tail {
            seek_to_tail(&mut files, tail)?;
        }
        Ok(Reader { dir, files, current: None, line: Vec::new(), done: true })
    }

    /// The next line; `None` when there is none yet. Later calls see what was written meanwhile, also
    /// after a rotation.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            if std::mem::replace(&mut self.done, false) {
                self.line.clear();
            }
            let read = match &mut self.current {
                Some(current) => {
                    let room = LINE_MAX.saturating_sub(self.line.len() as u64);
                    current.by_ref().take(room).read_until(b'\n', &mut self.line)?
                }
                None => 0,
            };
            if self.line.ends_with(b"\n") || self.line.len() as u64 >= LINE_MAX {
                self.done = true;
                // Twice, because the borrow checker cannot see that the loop ends here.
                if Line::parse(&self.line).is_some() {
                    return Ok(Line::parse(&self.line));
                }
            } else if read == 0 && !self.next_file()? {
                return Ok(None);
            }
        }
    }

    /// What was read of a last line that has no end: its writer is at work, or was cut off.
    pub fn torn_line(&self) -> Option<Line<'_>> {
        if self.done { None } else { Line::parse(&self.line) }
    }

    /// Goes on with the next file, if there is one.
    fn next_file(&mut self) -> io::Result<bool> {
        if self.files.is_empty() {
            self.find_newer()?;
        }
        match self.files.pop_front() {
            Some(next) => {
                self.current = Some(BufReader::with_capacity(4 * BLOCK, next));
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Looks for files that a rotation put behind the one being read. The one being read is put in
    /// front again, for it may have got more before it was rotated.
    fn find_newer(&mut self) -> io::Result<()> {
        let Some(newest) = open_part(&self.dir, CURRENT)? else { return Ok(()) };
        let Some(reading) = &self.current else {
            self.files.push_back(newest);
            return Ok(());
        };
        let own = fstat(reading.get_ref())?.st_ino;
        if fstat(&newest)?.st_ino == own {
            return Ok(());
        }
        if let Some(rotated) = open_part(&self.dir, ROTATED)?
            && fstat(&rotated)?.st_ino != own
        {
            self.files.push_back(rotated);
        }
        self.files.push_back(newest);
        let mut rest = reading.get_ref().try_clone()?;
        // Nothing is buffered at the end of a file, so the descriptor stands where reading stopped.
        if rest.stream_position()? < rest.metadata()?.len() {
            self.files.push_front(rest);
        }
        Ok(())
    }
}

fn open_part(dir: &OwnedFd, name: &str) -> io::Result<Option<File>> {
    match openat(dir, name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(fd) => Ok(Some(File::from(fd))),
        Err(Errno::ENOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Positions the files so that `tail` lines of output are left; drops files that are not needed.
fn seek_to_tail(files: &mut VecDeque<File>, tail: u64) -> io::Result<()> {
    let mut left = tail;
    let mut open_end = true;
    for index in (0..files.len()).rev() {
        let file = &mut files[index];
        let start = tail_start(file, &mut left, &mut open_end)?;
        file.seek(SeekFrom::Start(start))?;
        if start > 0 {
            files.drain(..index);
            break;
        }
    }
    Ok(())
}

/// Where in this file the last `left` lines of output start, 0 when it holds no more than that. Read
/// backwards in blocks. `open_end` is whether the pieces read so far belong to a line without an end.
fn tail_start(file: &File, left: &mut u64, open_end: &mut bool) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    // The bytes of a line whose beginning is in an earlier block, `end` being where they start.
    let mut later: Vec<u8> = Vec::new();
    let mut after = end;
    while end > 0 {
        let from = end.saturating_sub(BLOCK as u64);
        let mut bytes = vec![0; (end - from) as usize];
        file.read_exact_at(&mut bytes, from)?;
        bytes.append(&mut later);
        let mut upto = bytes.len();
        loop {
            // The line that ends at `upto`, without its line end.
            let body = if upto > 0 && bytes[upto - 1] == b'\n' { upto - 1 } else { upto };
            let start = match bytes[..body].iter().rposition(|&b| b == b'\n') {
                Some(newline) => newline + 1,
                None if from == 0 => 0,
                None => break,
            };
            if let Some(line) = Line::parse(&bytes[start..upto]) {
                if line.full || *open_end {
                    if *left == 0 {
                        return Ok(after);
                    }
                    *left -= 1;
                }
                *open_end = false;
            }
            after = from + start as u64;
            upto = start;
            if upto == 0 {
                break;
            }
        }
        bytes.truncate(upto);
        if bytes.len() as u64 > LINE_MAX {
            bytes.clear();
        }
        later = bytes;
        end = from;
    }
    Ok(0)
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
