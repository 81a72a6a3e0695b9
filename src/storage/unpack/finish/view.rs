//! A stack of layers as one tree, as overlay will show it.

use super::lower::Lower;
use crate::error::Result;
use crate::storage::unpack::tree::{DIRECTORY, c_name, failed, file_type, join, lstat};
use crate::storage::whiteout;
use nix::errno::Errno;
use nix::fcntl::{openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag};
use std::collections::VecDeque;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

/// Symlinks followed on one path.
const LINKS_MAX: usize = 40;

/// A directory of one layer, with the layer's position in the stack of lowers; `None` is the layer on
/// top of them.
pub(in crate::storage) type Part = (Option<usize>, Rc<OwnedFd>);

/// What the stack has at a name.
#[derive(Debug, Clone)]
pub(in crate::storage) enum Found<'a> {
    /// A directory, as the layers that have a part in it, nearest first.
    Directory(Vec<Part>),
    /// A symlink.
    Symlink,
    /// Something else.
    Other(PhantomData<&'a ()>),
}

/// A file that is no directory.
pub(super) struct Leaf {
    pub(super) layer: Option<usize>,
    pub(super) dir: Rc<OwnedFd>,
    pub(super) status: FileStat,
}

/// One directory of the stack.
pub(in crate::storage) struct View<'a> {
    dirs: Vec<Part>,
    stack: PhantomData<&'a ()>,
}

impl<'a> View<'a> {
    /// The root of the stack: `top`, if given, above the layers of `below`, which is bottom first.
    pub(in crate::storage) fn new(top: Option<BorrowedFd<'a>>, below: &'a [Lower]) -> Result<Self> {
        let lowers = below.iter().enumerate().rev().map(|(i, lower)| (Some(i), lower.root.as_fd()));
        let mut dirs: Vec<Part> = Vec::new();
        for (layer, root) in top.map(|fd| (None, fd)).into_iter().chain(lowers) {
            let fail = |e| failed("open", b"", e);
            let dir = openat(root, ".", DIRECTORY, Mode::empty()).map_err(fail)?;
            let last = whiteout::is_opaque(dir.as_fd()).map_err(fail)?;
            dirs.push((layer, Rc::new(dir)));
            if last {
                break;
            }
        }
        Ok(View { dirs, stack: PhantomData })
    }

    /// A directory that was found before.
    pub(in crate::storage) fn of(dirs: Vec<Part>) -> Self {
        View { dirs, stack: PhantomData }
    }

    /// This directory itself.
    pub(super) fn here(&self) -> Found<'a> {
        Found::Directory(self.dirs.clone())
    }

    /// What this directory has under a name; `None` when nothing.
    pub(in crate::storage) fn child(&self, name: &[u8]) -> Result<Option<Found<'a>>> {
        let fail = |e| failed("look up", name, e);
        let name = c_name(name)?;
        let mut found: Vec<Part> = Vec::new();
        for (layer, dir) in &self.dirs {
            let Some(status) = lstat(dir.as_fd(), &name).map_err(fail)? else { continue };
            let kind = file_type(&status);
            if kind != SFlag::S_IFDIR {
                // A whiteout or another kind of file hides what lies further down.
                let hides = whiteout::is_at(dir.as_fd(), &name, &status).map_err(fail)?;
                let first = found.is_empty() && !hides;
                return Ok(match (first, kind == SFlag::S_IFLNK) {
                    (true, true) => Some(Found::Symlink),
                    (true, false) => Some(Found::Other(PhantomData)),
                    _ if found.is_empty() => None,
                    _ => Some(Found::Directory(found)),
                });
            }
            let below = openat(dir.as_fd(), name.as_c_str(), DIRECTORY, Mode::empty()).map_err(fail)?;
            let last = whiteout::is_opaque(below.as_fd()).map_err(fail)?;
            found.push((*layer, Rc::new(below)));
            if last {
                break;
            }
        }
        Ok((!found.is_empty()).then_some(Found::Directory(found)))
    }

    /// The file, other than a directory, under a name.
    pub(super) fn file(&self, name: &CStr) -> Result<Option<Leaf>> {
        for (layer, dir) in &self.dirs {
            let fail = |e| failed("look up", name.to_bytes(), e);
            let Some(status) = lstat(dir.as_fd(), name).map_err(fail)? else { continue };
            let directory = file_type(&status) == SFlag::S_IFDIR;
            if directory || whiteout::is_at(dir.as_fd(), name, &status).map_err(fail)? {
                return Ok(None);
            }
            return Ok(Some(Leaf { layer: *layer, dir: dir.clone(), status }));
        }
        Ok(None)
    }

    /// The directory at a path without symlinks; the root is the empty path.
    pub(in crate::storage) fn walk(&self, path: &[u8]) -> Result<Option<Found<'a>>> {
        let mut here = self.here();
        for part in path.split(|b| *b == b'/').filter(|p| !p.is_empty()) {
            let Found::Directory(dirs) = here else { return Ok(None) };
            match View::of(dirs).child(part)? {
                Some(found) => here = found,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// The path of the directory that a path leads to, without symlinks; `None` when it leads to none.
    pub(in crate::storage) fn canonical(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut todo: VecDeque<Vec<u8>> = path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
        let mut walked: Vec<(Vec<u8>, Vec<Part>)> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    walked.pop();
                    continue;
                }
                _ => {}
            }
            let here = View::of(walked.last().map_or_else(|| self.dirs.clone(), |(_, dirs)| dirs.clone()));
            match here.child(&part)? {
                Some(Found::Directory(dirs)) => {
                    let full = join(walked.last().map_or(b"".as_slice(), |(p, _)| p), &part);
                    walked.push((full, dirs));
                }
                Some(Found::Symlink) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Ok(None);
                    }
                    let target = here.read_link(&part)?;
                    if target.starts_with(b"/") {
                        walked.clear();
                    }
                    target.rsplit(|b| *b == b'/').for_each(|p| todo.push_front(p.to_vec()));
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(walked.pop().map(|(path, _)| path).unwrap_or_default()))
    }

    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>> {
        let c_name = c_name(name)?;
        let fail = |e| failed("read symlink", name, e);
        let leaf = self.file(&c_name)?.ok_or_else(|| fail(Errno::ENOENT))?;
        let target = readlinkat(leaf.dir.as_fd(), c_name.as_c_str()).map_err(fail)?;
        Ok(target.as_bytes().to_vec())
    }
}
