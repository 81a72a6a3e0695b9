//! The payload's output on disk: in the format of podman and Kubernetes, one line of text per line of output,
//! `<RFC 3339 time with nanoseconds> <stdout|stderr> <F|P> <bytes>`, or as docker's JSON objects.
//!
//! Theory of operation. `F` ends a line of output; `P` is part of a line whose end has not arrived yet, so a
//! prompt is on disk at once and the writer buffers nothing. With a size limit, `log` becomes `log.1` at half
//! of it, so that both together stay within it (with docker's `max-file` there are that many files, each up to
//! the limit). A reserve below that point lets a line end in the file in which it began, so only lines longer
//! than the reserve are split. A write that was interrupted (full disk, power cut) leaves a torn line: the
//! writer puts a line end before its next line, and readers skip anything that is not a valid line. Times are
//! UTC and of fixed width, so they can be compared as text.

use super::ContainerDir;
use chrono::{DateTime, SecondsFormat, Utc};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

pub mod journal;
mod json;
mod reader;
mod tail;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

/// Formatted bytes that are gathered before they are written.
const BLOCK: usize = 64 * 1024;
/// Longest line a reader takes; the writer's are shorter.
const LINE_MAX: usize = 1024 * 1024;
/// Most files of one log.
pub const FILES_MAX: u32 = 1000;

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

/// How a line of output is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// podman's and Kubernetes' text.
    #[default]
    K8s,
    /// docker's objects: `{"log":"text\n","stream":"stdout","time":"..."}`.
    Json,
}

/// How and where a log in files is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// How lines are written.
    pub form: Form,
    /// The file, absolute; `log` in the container's directory when `None`.
    pub path: Option<&'a Path>,
    /// Bytes after which it is rotated; `None` is never.
    pub max_size: Option<u64>,
    /// How many files of `max_size` each there may be; without, all of them share it.
    pub max_file: Option<u32>,
    /// What every JSON object is marked with.
    pub tag: Option<&'a str>,
}

/// A time in the log's form.
pub fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
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
    /// Reads a line of podman's form, with or without its line end; `None` when it is not one.
    pub fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        // Where our own writer puts it; others write times of other widths.
        let space = match line.get(30) {
            Some(b' ') => 30,
            _ => line.iter().take(40).position(|&b| b == b' ')?,
        };
        let (time, rest) = (&line[..space], &line[space + 1..]);
        if time.len() < 20 || !time[0].is_ascii_digit() {
            return None;
        }
        let (head, text) = rest.split_at_checked(9)?;
        let (stream, full) = match head {
            b"stdout F " => (Stream::Stdout, true),
            b"stdout P " => (Stream::Stdout, false),
            b"stderr F " => (Stream::Stderr, true),
            b"stderr P " => (Stream::Stderr, false),
            _ => return None,
        };
        Some(Line { time, stream, full, text })
    }
}

/// The directory and the name of a log's files.
#[derive(Debug)]
struct Place {
    dir: OwnedFd,
    name: String,
}

impl Place {
    fn of(container: &ContainerDir, path: Option<&Path>) -> io::Result<Place> {
        let Some(path) = path else {
            return Ok(Place { dir: container.fd().try_clone_to_owned()?, name: "log".to_owned() });
        };
        let wrong = || io::Error::from(Errno::EINVAL);
        let (parent, name) = path.parent().zip(path.file_name()).ok_or_else(wrong)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = openat(AT_FDCWD, parent, flags, Mode::empty())?;
        Ok(Place { dir, name: name.to_str().ok_or_else(wrong)?.to_owned() })
    }

    /// The name of a part: 0 is the one that is written, the higher the older.
    fn part(&self, number: u32) -> String {
        if number == 0 { self.name.clone() } else { format!("{}.{number}", self.name) }
    }

    fn open_part(&self, number: u32) -> io::Result<Option<File>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match openat(&self.dir, self.part(number).as_str(), flags, Mode::empty()) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
