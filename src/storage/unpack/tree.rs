//! The directory that a layer is unpacked into, accessed by descriptors only.
//!
//! Theory of operation. The root is opened once. The parent directory of every entry is resolved from it by
//! openat2(2) with `RESOLVE_IN_ROOT`: symlinks and `..` in the path cannot leave it, and the last component is
//! only ever used with a parent's descriptor and `O_NOFOLLOW` (attack cases 1 to 5). The last few parents are
//! kept open, because archives list the contents of a directory together; they are dropped whenever something
//! is removed or replaced.

use crate::error::{Error, Kind, Result};
use crate::storage::{record, tree, whiteout};
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstatat, mkdirat};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

/// Parents kept open.
const KEPT: usize = 8;
/// Symlinks followed on one path, as the kernel's own limit (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// The size of a remembered symlink without its path, in bytes.
const PER_LINK: usize = 64;
/// Most bytes that remembered symlinks may take.
const LINKS_HELD_MAX: usize = 32 << 20;

/// Flags to hold a directory as a base for further calls.
pub const BASE: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
/// Flags to hold a directory whose attributes change.
pub const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// openat2(2) inside `root`: nothing on the way can lead out of it.
pub(in crate::storage) fn resolve(root: BorrowedFd<'_>, path: &[u8], flags: OFlag) -> nix::Result<OwnedFd> {
    let path = if path.is_empty() { &b"."[..] } else { path };
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    let bounds = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    open_within(root, path.as_c_str(), flags, bounds)
}

/// A file's status, without following it; `None` when it is not there.
///
/// # Errors
/// Those of fstatat(2), except for `ENOENT`.
pub fn lstat(dir: BorrowedFd<'_>, name: &CStr) -> nix::Result<Option<FileStat>> {
    match fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// The type bits of a status.
pub fn file_type(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits())
}

/// A path within a layer for messages.
pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path).escape_debug())
}

/// A failed step on an entry of a layer, in words.
pub(super) fn failed(doing: &str, path: &[u8], errno: Errno) -> Error {
    let error = failed_anywhere(doing, path, errno);
    match record::hint(Some(errno)) {
        Some(hint) if error.kind() == Kind::Storage => error.hint(hint),
        _ => error,
    }
}

/// The same where it may not be the store that is written.
pub(super) fn failed_anywhere(doing: &str, path: &[u8], errno: Errno) -> Error {
    // What the archive asks for and no file system can give is the image's fault.
    let kind = match errno {
        Errno::EFBIG if record::size_is_limited() => Kind::Storage,
        Errno::ENAMETOOLONG | Errno::ELOOP | Errno::ENOTDIR | Errno::EFBIG | Errno::EMLINK => Kind::Image,
        _ => Kind::Storage,
    };
    Error::new(kind, format!("{doing} {}", shown(path))).caused_by(record::cause(errno))
}

/// Joins a directory's path and a name.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

/// A component as a C string; components never hold NUL, which normalising has checked.
pub(super) fn c_name(name: &[u8]) -> Result<CString> {
    CString::new(name).map_err(|e| Error::new(Kind::Image, "a name with a NUL byte").caused_by(e))
}

/// A layer's directory while it is filled.
pub(super) struct Tree<'a> {
    root: BorrowedFd<'a>,
    parents: VecDeque<Parent>,
    /// Directories that no entry described, by their path without symlinks.
    pub(super) implied: BTreeSet<Vec<u8>>,
    own_links: Option<OwnLinks>,
}

/// A directory that is kept open.
struct Parent {
    path: Vec<u8>,
    /// Its path without symlinks, where that is known.
    real: Vec<u8>,
    dir: Rc<OwnedFd>,
}

/// Symlinks of the archive, by their paths without symlinks. Others count for nothing.
#[derive(Debug, Default)]
struct OwnLinks {
    paths: HashSet<Vec<u8>>,
    held: usize,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: BorrowedFd<'a>) -> Self {
        Tree { root, parents: VecDeque::new(), implied: BTreeSet::new(), own_links: None }
    }

    /// As [`Tree::new`], as if the directory was empty: symlinks and files that were there before are replaced by
    /// directories where the archive needs some.
    pub(super) fn apart(root: BorrowedFd<'a>) -> Self {
        Tree { own_links: Some(OwnLinks::default()), ..Tree::new(root) }
    }

    pub(super) fn root(&self) -> BorrowedFd<'a> {
        self.root
    }

    /// The directory of this path, made with everything above it if missing.
    pub(super) fn parent(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>> {
        if let Some(parent) = self.parents.iter().find(|parent| parent.path == path) {
            return Ok(parent.dir.clone());
        }
        let resolved = match &self.own_links {
            None => resolve(self.root, path, BASE),
            // The way has to be looked at.
            Some(_) => Err(Errno::ENOENT),
        };
        let (real, dir) = match resolved {
            Ok(dir) => (Vec::new(), dir),
            Err(Errno::ENOENT | Errno::ENOTDIR) => self.make(path)?,
            Err(e) => return Err(failed("open directory", path, e)),
        };
        let dir = Rc::new(dir);
        self.keep_as(path, real, dir.clone());
        Ok(dir)
    }

    /// The path without symlinks of something in a directory that [`Tree::parent`] has just returned. It is not known
    /// unless the tree counts as empty, and nobody asks for it then.
    pub(super) fn real(&self, dir: &[u8], name: &[u8]) -> Vec<u8> {
        if self.own_links.is_none() {
            return Vec::new();
        }
        let parent = self.parents.iter().find(|parent| parent.path == dir);
        join(parent.map_or(&b""[..], |parent| &parent.real), name)
    }

    /// Notes that the archive has a symlink here.
    ///
    /// # Errors
    /// [`Kind::Image`] when there are more than can be held in memory.
    pub(super) fn note_link(&mut self, real: &[u8]) -> Result<()> {
        let Some(own) = &mut self.own_links else { return Ok(()) };
        own.held += real.len() + PER_LINK;
        if own.held > LINKS_HELD_MAX {
            return Err(Error::new(
                Kind::Image,
                "the archive has too many symbolic links to be added with --link",
            ));
        }
        own.paths.insert(real.to_vec());
        Ok(())
    }

    /// Whether a symlink at this path is followed.
    pub(super) fn follows(&self, real: &[u8]) -> bool {
        self.own_links.as_ref().is_none_or(|own| own.paths.contains(real))
    }

    /// The directory of this path if it exists.
    pub(super) fn existing_parent(&self, path: &[u8]) -> nix::Result<Rc<OwnedFd>> {
        match self.parents.iter().find(|parent| parent.path == path) {
            Some(parent) => Ok(parent.dir.clone()),
            None => resolve(self.root, path, BASE).map(Rc::new),
        }
    }

    /// Remembers an open directory.
    pub(super) fn keep(&mut self, path: &[u8], dir: Rc<OwnedFd>) {
        self.keep_as(path, Vec::new(), dir);
    }

    fn keep_as(&mut self, path: &[u8], real: Vec<u8>, dir: Rc<OwnedFd>) {
        if self.parents.len() == KEPT {
            self.parents.pop_back();
        }
        self.parents.push_front(Parent { path: path.to_vec(), real, dir });
    }

    /// Walks a path by hand, making what is missing. A symlink into a directory that only a lower layer
    /// has is followed, as it will be once the layers are stacked. Returns the path without symlinks, too.
    fn make(&mut self, path: &[u8]) -> Result<(Vec<u8>, OwnedFd)> {
        let fail = |e| failed("create directory", path, e);
        let open =
            |dir: BorrowedFd<'_>, name: &CStr| openat(dir, name, BASE | OFlag::O_NOFOLLOW, Mode::empty());
        let mut todo: VecDeque<Vec<u8>> = path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
        let mut walked: Vec<(Vec<u8>, OwnedFd)> = Vec::new();
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
            let (name, here) = (c_name(&part)?, walked.last().map_or(self.root, |(_, fd)| fd.as_fd()));
            let full = join(walked.last().map_or(b"".as_slice(), |(p, _)| p), &part);
            let next = match open(here, &name) {
                Err(Errno::ENOENT) => {
                    self.make_implied(here, &name, &full).map_err(fail)?;
                    open(here, &name).map_err(fail)?
                }
                Err(Errno::ENOTDIR | Errno::ELOOP) => {
                    let status = lstat(here, &name).map_err(fail)?.ok_or_else(|| fail(Errno::ENOENT))?;
                    if !self.follows(&full) {
                        tree::remove_tree(here, &name).map_err(fail)?;
                        self.make_implied(here, &name, &full).map_err(fail)?;
                        self.parents.clear();
                        let next = open(here, &name).map_err(fail)?;
                        walked.push((full, next));
                        continue;
                    }
                    if file_type(&status) == SFlag::S_IFLNK {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(fail(Errno::ELOOP));
                        }
                        let target = readlinkat(here, name.as_c_str()).map_err(fail)?;
                        let target = target.as_bytes();
                        if target.starts_with(b"/") {
                            walked.clear();
                        }
                        target.rsplit(|b| *b == b'/').for_each(|p| todo.push_front(p.to_vec()));
                        continue;
                    }
                    if !whiteout::is_at(here, &name, &status).map_err(fail)? {
                        return Err(fail(Errno::ENOTDIR));
                    }
                    // The lower directory is gone and a new one takes its place.
                    tree::remove_tree(here, &name).map_err(fail)?;
                    self.make_implied(here, &name, &full).map_err(fail)?;
                    self.parents.clear();
                    let dir = openat(here, name.as_c_str(), DIRECTORY, Mode::empty()).map_err(fail)?;
                    whiteout::set_opaque(dir.as_fd()).map_err(fail)?;
                    open(here, &name).map_err(fail)?
                }
                other => other.map_err(fail)?,
            };
            walked.push((full, next));
        }
        match walked.pop() {
            Some(made) => Ok(made),
            None => Ok((Vec::new(), openat(self.root, ".", BASE, Mode::empty()).map_err(fail)?)),
        }
    }

    fn make_implied(&mut self, dir: BorrowedFd<'_>, name: &CStr, full: &[u8]) -> nix::Result<()> {
        mkdirat(dir, name, Mode::S_IRWXU)?;
        let made = openat(dir, name, DIRECTORY, Mode::empty())?;
        fchmod(&made, Mode::from_bits_truncate(0o755))?;
        self.implied.insert(full.to_vec());
        Ok(())
    }

    /// Removes whatever has this name.
    pub(super) fn clear(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
        self.parents.clear();
        tree::remove_tree(dir, name)
    }
}

/// Brings a name from an archive to its plain form: no leading slash, no `.`, no `..`; the root is
/// empty. As Go's path cleaning, `a/../b` is `b`; what would rise above the root is refused.
pub(in crate::storage) fn normalise(name: &[u8], depth: usize) -> Result<Vec<u8>> {
    let refuse = |why: &str| Error::new(Kind::Image, format!("the archive's name {} {why}", shown(name)));
    if name.is_empty() {
        return Err(Error::new(Kind::Image, "the archive has an entry without a name"));
    }
    if name.contains(&0) {
        return Err(refuse("holds a NUL byte"));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.pop().is_none() => return Err(refuse("leads out of the image")),
            b".." => {}
            _ => parts.push(part),
        }
    }
    let path = parts.join(&b'/');
    // PATH_MAX counts the ending NUL byte.
    if path.len() >= 4096 || parts.iter().any(|p| p.len() > 255) {
        return Err(Error::new(
            Kind::Image,
            format!("the archive has a name of {} bytes, which is too long", name.len()),
        ));
    }
    if parts.len() > depth {
        return Err(Error::new(
            Kind::Image,
            format!("the archive nests {} directories, more than the {depth} allowed", parts.len()),
        ));
    }
    Ok(path)
}
