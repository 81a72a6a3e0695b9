//! The members of an image archive.

use super::names::{INDEX, LAYOUT, MANIFEST};
use crate::error::{Context, Error, Kind, Result};
use crate::storage::blobs::{SMALL_BLOB_MAX, Section};
use crate::storage::record;
use crate::storage::unpack::tar::{Archive, Type};
use crate::storage::unpack::{Limits, normalise};
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Most members of an archive of images; the largest seen have a few thousand.
const MEMBERS_MAX: usize = 100_000;
/// Symlinks followed between members: old archives name a layer's file once and link to it.
const LINKS_MAX: usize = 8;
const ARCHIVE: &str = "image archive";

/// The members of an image archive, or of what has the form of one, by name.
pub struct Source {
    inner: Inner,
    /// What it is, for messages.
    what: &'static str,
}

enum Inner {
    Tar(Arc<File>, HashMap<Vec<u8>, Member>),
    Directory(OwnedFd),
}

enum Member {
    /// From this byte up to that one.
    File(u64, u64),
    Link(Vec<u8>),
}

impl Source {
    /// An uncompressed tar file, whose members are listed now and read later, in place.
    ///
    /// # Errors
    /// A malformed archive, or one that lists its images twice.
    pub fn tar(file: Arc<File>) -> Result<Source> {
        let length = file.metadata().context(Kind::Storage, || "look at the archive")?.len();
        let count = Rc::new(Cell::new(0));
        let input = BufReader::with_capacity(256 << 10, Section::new(file.clone(), 0, length));
        let mut archive = Archive::new(Counting { inner: input, count: count.clone() });
        let mut members = HashMap::new();
        while let Some(entry) = archive.next()? {
            let member = match entry.kind {
                Type::File if entry.sparse.is_none() => {
                    let end = count.get().checked_add(entry.size).filter(|end| *end <= length);
                    Member::File(count.get(), end.ok_or_else(|| bad("a member is longer than the archive"))?)
                }
                Type::Symlink | Type::HardLink => Member::Link(target(&entry)?),
                Type::Directory => continue,
                _ => return Err(bad("it holds something that is no file, directory or link")),
            };
            let name = normalise(&entry.path, Limits::default().depth)?;
            let twice = [INDEX, LAYOUT, MANIFEST].iter().any(|known| known.as_bytes() == name);
            if members.insert(name, member).is_some() && twice {
                return Err(bad("it lists its images twice"));
            }
            if members.len() > MEMBERS_MAX {
                return Err(bad(&format!("it has more than {MEMBERS_MAX} members")));
            }
        }
        Ok(Source { inner: Inner::Tar(file, members), what: ARCHIVE })
    }

    /// A directory.
    pub fn directory(dir: OwnedFd) -> Source {
        Source { inner: Inner::Directory(dir), what: ARCHIVE }
    }

    /// A directory with a build cache in it.
    pub fn build_cache(dir: OwnedFd) -> Source {
        Source { what: "build cache", ..Source::directory(dir) }
    }

    /// Why it is not taken.
    pub(super) fn refused(&self, why: &str) -> Error {
        refused(self.what, why)
    }

    /// A member's bytes; `None` when there is none of this name.
    pub(super) fn open(&self, name: &str) -> Result<Option<Section>> {
        match &self.inner {
            Inner::Tar(file, members) => {
                let mut name = normalise(name.as_bytes(), Limits::default().depth)?;
                for _ in 0..LINKS_MAX {
                    match members.get(&name) {
                        None => return Ok(None),
                        Some(Member::File(start, end)) => {
                            return Ok(Some(Section::new(file.clone(), *start, *end)));
                        }
                        Some(Member::Link(to)) => name.clone_from(to),
                    }
                }
                Err(self.refused("its links lead to links without end"))
            }
            Inner::Directory(dir) => {
                let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
                let bounds = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
                let file = match open_within(dir, name, flags, bounds) {
                    Ok(fd) => File::from(fd),
                    Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
                    Err(e) => return Err(record::failed("open", Path::new(name), e.into())),
                };
                let found = file.metadata().map_err(|e| record::failed("look at", Path::new(name), e))?;
                if !found.is_file() {
                    return Err(self.refused(&format!("{name} is not a file")));
                }
                Ok(Some(Section::new(Arc::new(file), 0, found.len())))
            }
        }
    }

    /// Whether it is a directory.
    pub(super) fn is_directory(&self) -> bool {
        matches!(self.inner, Inner::Directory(_))
    }

    /// A small member whole.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.read_at_most(name, SMALL_BLOB_MAX)
    }

    /// As [`Source::read`], for a member of at most so many bytes.
    pub(super) fn read_at_most(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>> {
        let Some(section) = self.open(name)? else { return Ok(None) };
        if section.left() > max {
            return Err(
                self.refused(&format!("{name} has {} bytes, which is too large for it", section.left()))
            );
        }
        let mut bytes = Vec::new();
        let read = section.take(max).read_to_end(&mut bytes);
        read.context(Kind::Image, || format!("read {name}"))?;
        Ok(Some(bytes))
    }
}

/// Where a link leads, by names alone.
fn target(entry: &crate::storage::unpack::tar::Entry) -> Result<Vec<u8>> {
    let depth = Limits::default().depth;
    if entry.kind == Type::HardLink {
        return normalise(&entry.link, depth);
    }
    let path = normalise(&entry.path, depth)?;
    let dir = path.iter().rposition(|b| *b == b'/').map_or(&b""[..], |slash| &path[..slash]);
    normalise(&[dir, b"/", entry.link.as_slice()].concat(), depth)
}

pub(super) fn bad(why: &str) -> Error {
    refused(ARCHIVE, why)
}

fn refused(what: &str, why: &str) -> Error {
    Error::new(Kind::Image, format!("the {what} is refused: {why}"))
}

/// Counts what was taken.
struct Counting<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counting<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.count.set(self.count.get() + count as u64);
    }
}
