//! Extracting an archive into a directory that may already contain files: `cp`.
//!
//! Theory of operation. As when a layer is unpacked, everything is reached from the directory's descriptor
//! through [`Tree`], and a last component is never followed. Unlike there, names have no special meaning
//! (`.wh.x` is an ordinary file), existing directories are merged into, and an existing file of another type
//! than the entry is an error unless overwriting was requested. FIFOs, sockets and devices are never replaced by
//! files: programs are at their other ends. A symlink to a directory counts as that
//! directory, so that an archive with `lib/x` can be extracted where `/lib` is a link. A file that cannot be
//! replaced because something is mounted on it is written in place.

use super::entry::{copy_sparse, copy_whole, mtime};
use super::limits::Limits;
use super::tar::{Archive, Entry, Type};
use super::tree::{self, DIRECTORY, Tree, c_name, file_type, lstat, normalise, resolve, shown};
use super::{attributes, decode};
use crate::container::ids::IdMaps;
use crate::error::{Error, Kind, Result, phrases};
use crate::storage::{access_list, id_ranges};
use crate::sys::fd::{despite_leases, mount_id};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fchmod, futimens, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

/// The size of a remembered directory without its path, in bytes.
const PER_DIRECTORY: usize = 96;
/// Most bytes that what is remembered of directories may take.
const PENDING_MAX: usize = 32 << 20;

/// Whom extracted files belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The extracting user.
    Caller,
    /// The ids in the archive, which are those of a container.
    Archive(IdMaps),
    /// These ids, user and group.
    Ids(u32, u32),
}

/// How an archive is extracted.
#[derive(Debug, Clone)]
pub struct Extract {
    /// Whom the files belong to.
    pub owner: Owner,
    /// Replace directories by other files and the other way round.
    pub overwrite: bool,
    /// Keep set-user-id and set-group-id bits, and extended attributes.
    pub privileges: bool,
    /// What is there already counts for nothing: no symlink of it is followed, and what is in the way is replaced.
    pub apart: bool,
    /// What the user calls the directory that it goes into, for messages.
    pub below: String,
}

/// What was extracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Entries that were made.
    pub entries: u64,
    /// Device nodes, which were not.
    pub devices: u64,
}

/// Extracts an archive below `into`.
///
/// # Errors
/// [`Kind::Image`] when the archive is malformed or a name leads out of the directory; `Conflict` when
/// something of another kind is in the way; `Storage` when a file cannot be made.
pub fn extract(into: BorrowedFd<'_>, archive: impl BufRead, how: Extract) -> Result<Extracted> {
    let mut archive = Archive::new(archive);
    let many = id_ranges::many_ids()?;
    let mut extractor = Extractor {
        tree: if how.apart { Tree::apart(into) } else { Tree::new(into) },
        how,
        many,
        pending: BTreeMap::new(),
        held: 0,
        done: Extracted::default(),
    };
    while let Some(entry) = archive.next()? {
        extractor.entry(&entry, &mut archive)?;
    }
    archive.into_end()?;
    extractor.settle()?;
    Ok(extractor.done)
}

/// A stream as an archive; its compression is recognised by its first bytes.
///
/// # Errors
/// When the stream cannot be read, or nothing is in it.
pub fn decompressed(source: impl Read + 'static) -> Result<Box<dyn BufRead>> {
    let packed = Rc::new(Cell::new(0));
    let opened = decode::open(Counted { inner: source, count: packed.clone() });
    let (format, reader) = opened.map_err(|e| Error::new(Kind::Storage, "read the archive").caused_by(e))?;
    let mut archive: Box<dyn BufRead> = match format {
        "tar" => Box::new(BufReader::with_capacity(256 << 10, reader)),
        _ => bounded(reader, packed),
    };
    let begins =
        archive.fill_buf().map_err(|e| Error::new(Kind::Storage, "read the archive").caused_by(e))?;
    // As standard input is that was closed. An archive of no files has an end.
    if begins.is_empty() { Err(Error::new(Kind::Image, "the archive is empty")) } else { Ok(archive) }
}

/// Whether a stream begins as an archive does, compressed or not. Nothing but its contents counts.
pub fn begins_archive(source: impl Read + 'static) -> bool {
    decompressed(source).is_ok_and(|archive| matches!(Archive::new(archive).next(), Ok(Some(_))))
}

/// Counts what was read of a compressed archive.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

/// Fails when a compressed archive turns out to be a decompression bomb (attack case 9). How large it may
/// be otherwise is the user's affair, as with a plain one.
struct Bounded<R> {
    inner: R,
    packed: Rc<Cell<u64>>,
    total: u64,
    limits: Limits,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.total += count as u64;
        self.limits.check_bytes(self.total, self.packed.get()).map_err(io::Error::other)?;
        Ok(count)
    }
}

fn bounded(inner: impl Read + 'static, packed: Rc<Cell<u64>>) -> Box<dyn BufRead> {
    let limits = Limits { bytes: u64::MAX, ..Limits::default() };
    Box::new(BufReader::with_capacity(256 << 10, Bounded { inner, packed, total: 0, limits }))
}

struct Extractor<'a> {
    tree: Tree<'a>,
    how: Extract,
    /// Owners other than the user can be set.
    many: bool,
    /// Mode and time of directories, set when they are full.
    pending: BTreeMap<Vec<u8>, (u32, TimeSpec)>,
    /// Bytes that `pending` takes, or took before some were forgotten.
    held: usize,
    done: Extracted,
}

/// Where an entry goes.
struct Place<'a> {
    dir: BorrowedFd<'a>,
    name: &'a CStr,
    path: &'a [u8],
    /// The path without symlinks, if what is there counts for nothing.
    real: &'a [u8],
}

impl Extractor<'_> {
    fn entry<R: BufRead>(&mut self, entry: &Entry, archive: &mut Archive<R>) -> Result<()> {
        let path = normalise(&entry.path, Limits::default().depth)?;
        if path.is_empty() {
            // The directory itself, which is there and stays as it is.
            return match entry.kind {
                Type::Directory => Ok(()),
                _ => Err(Error::new(Kind::Image, "the archive's root is not a directory")),
            };
        }
        if matches!(entry.kind, Type::CharDevice | Type::BlockDevice) {
            self.done.devices += 1;
            return Ok(());
        }
        let (dir, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path.as_slice()),
        };
        let parent = self.tree.parent(dir)?;
        // They keep the attributes they were made with, and an archive can imply them without end.
        self.tree.implied.clear();
        let real = self.tree.real(dir, name);
        let place = Place { dir: parent.as_fd(), name: &c_name(name)?, path: &path, real: &real };
        self.done.entries += 1;
        match entry.kind {
            Type::Directory => self.directory(entry, &place),
            Type::File => self.file(entry, &place, archive),
            Type::HardLink => self.hard_link(entry, &place),
            _ => self.special(entry, &place),
        }
    }

    fn directory(&mut self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        let fail = |e| failed("create directory", place.path, e);
        let make = || mkdirat(place.dir, place.name, Mode::S_IRWXU).map_err(fail);
        match lstat(place.dir, place.name).map_err(fail)?.map(|status| file_type(&status)) {
            None => make()?,
            Some(SFlag::S_IFDIR) => {}
            Some(SFlag::S_IFLNK) if self.tree.follows(place.real) && self.leads_to_directory(place.path) => {
                return Ok(());
            }
            Some(_) if self.how.overwrite => {
                self.tree.clear(place.dir, place.name).map_err(fail)?;
                make()?;
            }
            Some(_) => return Err(self.in_the_way(phrases::in_the_way_of_directory, place.path)),
        }
        let dir = openat(place.dir, place.name, DIRECTORY, Mode::empty()).map_err(fail)?;
        let mode = self.mode(entry);
        self.attributes(entry, place.path, dir.as_fd(), mode | 0o700)?;
        self.pending.insert(place.path.to_vec(), (mode, mtime(entry)));
        self.held += place.path.len() + PER_DIRECTORY;
        // Those that get more files later lose their time by it, and memory has a bound (attack case 9).
        if self.held > PENDING_MAX { self.settle() } else { Ok(()) }
    }

    fn leads_to_directory(&self, path: &[u8]) -> bool {
        resolve(self.tree.root(), path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).is_ok()
    }

    /// Makes room for something of this kind that is no directory; false when what is there cannot be removed.
    fn room(&mut self, place: &Place<'_>, kind: SFlag) -> Result<bool> {
        let fail = |e| failed("replace", place.path, e);
        match lstat(place.dir, place.name).map_err(fail)?.map(|status| file_type(&status)) {
            None => Ok(true),
            Some(SFlag::S_IFDIR) if self.how.overwrite => {
                let gone = |path: &[u8]| {
                    path.strip_prefix(place.path).is_some_and(|rest| rest.first().is_none_or(|b| *b == b'/'))
                };
                self.pending.retain(|path, _| !gone(path));
                self.tree.clear(place.dir, place.name).map(|()| true).map_err(fail)
            }
            Some(SFlag::S_IFDIR) => Err(self.in_the_way(phrases::in_the_way_of_file, place.path)),
            Some(found)
                if !self.how.apart && !matches!(found, SFlag::S_IFREG | SFlag::S_IFLNK) && found != kind =>
            {
                let why = "it is neither a directory nor a regular file";
                Err(Error::new(Kind::Conflict, format!("{} is not replaced: {why}", shown(place.path)))
                    .hint("Remove it first, if that is what you want."))
            }
            // In a mount namespace that is not ours the kernel would take the name away, and the mount with it.
            Some(_) if is_mount(place).map_err(fail)? => Ok(false),
            Some(_) => match unlinkat(place.dir, place.name, UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => Ok(true),
                // A mount point.
                Err(Errno::EBUSY) => Ok(false),
                Err(e) => Err(fail(e)),
            },
        }
    }

    fn file<R: BufRead>(&mut self, entry: &Entry, place: &Place<'_>, archive: &mut Archive<R>) -> Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let how =
            if self.room(place, SFlag::S_IFREG)? { OFlag::O_CREAT | OFlag::O_EXCL } else { OFlag::O_TRUNC };
        let open = || openat(place.dir, place.name, flags | how, Mode::S_IRUSR | Mode::S_IWUSR);
        let file = File::from(despite_leases(open).map_err(|e| failed("create", place.path, e))?);
        match &entry.sparse {
            None => copy_whole(&file, archive, place.path)?,
            Some(map) => copy_sparse(&file, archive, place.path, map, entry.size)?,
        };
        self.attributes(entry, place.path, file.as_fd(), self.mode(entry))?;
        let time = mtime(entry);
        futimens(file.as_fd(), &time, &time).map_err(|e| failed("set the time of", place.path, e))
    }

    fn hard_link(&mut self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        let target = normalise(&entry.link, Limits::default().depth)?;
        let fail = |e| failed("link to", &target, e);
        let (dir, name) = match target.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&target[..slash], &target[slash + 1..]),
            None => (&b""[..], target.as_slice()),
        };
        let missing = || {
            let (link, target) = (shown(place.path), shown(&target));
            Error::new(
                Kind::Image,
                format!("the archive's hard link {link} leads to {target}, which is not there"),
            )
            .hint("An archive must have a file before the links to it: see tar -tvf FILE.")
        };
        let parent = match self.how.apart {
            true => self.tree.parent(dir)?,
            false => self.tree.existing_parent(dir).map_err(|e| match e {
                Errno::ENOENT | Errno::ENOTDIR => missing(),
                e => fail(e),
            })?,
        };
        let name = c_name(name)?;
        let found = lstat(parent.as_fd(), &name).map_err(fail)?.ok_or_else(missing)?;
        if let Some(own) = lstat(place.dir, place.name).map_err(fail)?
            && (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino)
        {
            return Ok(());
        }
        self.room(place, file_type(&found))?;
        linkat(parent.as_fd(), name.as_c_str(), place.dir, place.name, AtFlags::empty()).map_err(fail)
    }

    /// A symlink or a FIFO.
    fn special(&mut self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        let fail = |e| failed("create", place.path, e);
        let kind = if entry.kind == Type::Symlink { SFlag::S_IFLNK } else { SFlag::S_IFIFO };
        self.room(place, kind)?;
        if entry.kind == Type::Symlink {
            let target = c_name(&entry.link)?;
            symlinkat(target.as_c_str(), place.dir, place.name).map_err(fail)?;
            self.tree.note_link(place.real)?;
        } else {
            mknodat(place.dir, place.name, SFlag::S_IFIFO, Mode::S_IRUSR, 0).map_err(fail)?;
        }
        let own = |e| failed("set the owner of", place.path, e);
        if let Some((uid, gid)) = self.owner(entry).map_err(own)? {
            fchownat(place.dir, place.name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
                .map_err(own)?;
        }
        if entry.kind == Type::Fifo {
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let held = openat(place.dir, place.name, flags, Mode::empty()).map_err(fail)?;
            attributes::chmod_held(held.as_fd(), self.mode(entry)).map_err(fail)?;
        }
        let time = mtime(entry);
        utimensat(place.dir, place.name, &time, &time, UtimensatFlags::NoFollowSymlink).map_err(fail)
    }

    fn mode(&self, entry: &Entry) -> u32 {
        if self.how.privileges { entry.mode } else { entry.mode & 0o1777 }
    }

    fn owner(&self, entry: &Entry) -> nix::Result<Option<(Uid, Gid)>> {
        let (uid, gid) = match &self.how.owner {
            Owner::Archive(ids) => {
                let (uid, gid) = ids.outside((entry.uid, entry.gid));
                // What the kernel says to an id that it does not know.
                (uid.ok_or(Errno::EINVAL)?, gid.ok_or(Errno::EINVAL)?)
            }
            Owner::Ids(uid, gid) => (*uid, *gid),
            Owner::Caller => return Ok(None),
        };
        Ok(self.many.then(|| (Uid::from_raw(uid), Gid::from_raw(gid))))
    }

    /// Owner, mode and extended attributes, in the order that keeps set-id bits and capabilities.
    fn attributes(&self, entry: &Entry, path: &[u8], fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
        let own = |e| failed("set the owner of", path, e);
        if let Some((uid, gid)) = self.owner(entry).map_err(own)? {
            fchown(fd, Some(uid), Some(gid)).map_err(own)?;
        }
        fchmod(fd, Mode::from_bits_truncate(mode)).map_err(|e| failed("set the mode of", path, e))?;
        for (name, value) in entry.xattrs.iter().filter(|_| self.how.privileges) {
            let value = match &self.how.owner {
                Owner::Archive(ids) if access_list::is(name) => {
                    access_list::with_owners(value.clone(), |owner| ids.outside(owner))
                }
                _ => Some(value.clone()),
            };
            let Some(value) = value else { continue };
            attributes::set_from_archive(fd, name, &value)
                .map_err(|e| failed("set an attribute of", path, e))?;
        }
        Ok(())
    }

    /// Where files of different kinds meet.
    fn in_the_way(&self, refusal: fn(&str) -> Error, path: &[u8]) -> Error {
        let path = format!("{}{}", self.how.below.trim_end_matches("/.").trim_end_matches('/'), shown(path));
        refusal(&path).hint("To have it replaced all the same: coracle cp --overwrite ...")
    }

    /// Sets what had to wait until the directories were full.
    fn settle(&mut self) -> Result<()> {
        self.held = 0;
        for (path, (mode, time)) in std::mem::take(&mut self.pending).iter().rev() {
            let fail = |e| failed("set the attributes of", path, e);
            let dir = match resolve(self.tree.root(), path, DIRECTORY) {
                Ok(dir) => dir,
                // Something else took its place meanwhile.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => continue,
                Err(e) => return Err(fail(e)),
            };
            futimens(dir.as_fd(), time, time).map_err(fail)?;
            if mode & 0o700 != 0o700 {
                fchmod(dir.as_fd(), Mode::from_bits_truncate(*mode)).map_err(fail)?;
            }
        }
        Ok(())
    }
}

/// Whether something is mounted at a place.
fn is_mount(place: &Place<'_>) -> nix::Result<bool> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(place.dir, place.name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => Ok(false),
        other => Ok(mount_id(other?.as_fd())? != mount_id(place.dir)?),
    }
}

/// A failed step on an entry, in words. That another place may be written is of no use to who named this one.
fn failed(doing: &str, path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::EROFS | Errno::EACCES | Errno::EPERM => tree::failed_anywhere(doing, path, errno),
        _ => tree::failed(doing, path, errno),
    }
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
