//! Creating one entry of an archive.

use super::attributes;
use super::limits::Limits;
use super::notes::Notes;
use super::tar::{Archive, Entry, Type};
use super::tree::{DIRECTORY, Tree, c_name, failed, file_type, join, lstat, normalise, shown};
use crate::error::{Error, Kind, Result};
use crate::storage::access_list;
use crate::storage::whiteout::{self, Meaning};
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fchmod, futimens, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, linkat, symlinkat};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// Bytes from which a file's way to the disk begins at once. The layer is synced as a whole at its end;
/// for small files beginning one by one costs more than it saves.
const EARLY_WRITEBACK: u64 = 128 << 10;

/// How owners are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ownership {
    /// On the files: the namespace maps the ids.
    Set,
    /// In a separate record: only one id is available.
    Recorded,
}

/// The attributes to set on a directory once nothing more is created in it.
struct Pending {
    mode: u32,
    mtime: TimeSpec,
}

/// Makes entries below one root.
pub(super) struct Maker<'a> {
    tree: Tree<'a>,
    ownership: Ownership,
    umask: u32,
    limits: Limits,
    /// Whether what is made may inherit from its directory: the group, the set-group-id bit, an access list.
    inherits: bool,
    pending: BTreeMap<Vec<u8>, Pending>,
    pub(super) notes: Notes,
}

impl<'a> Maker<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, ownership: Ownership, umask: u32, limits: Limits) -> Self {
        let mut tree = Tree::new(root);
        // Until an entry describes it, the root is as implied as any other directory.
        tree.implied.insert(Vec::new());
        Maker {
            tree,
            ownership,
            umask,
            limits,
            inherits: false,
            pending: BTreeMap::new(),
            notes: Notes::default(),
        }
    }

    /// Makes one entry, taking its data from the archive.
    pub(super) fn make<R: BufRead>(&mut self, entry: &Entry, archive: &mut Archive<R>) -> Result<()> {
        self.notes.entries += 1;
        if self.notes.entries > self.limits.entries {
            return Err(Error::new(
                Kind::Image,
                format!("the archive has more than the {} entries allowed", self.limits.entries),
            ));
        }
        let path = normalise(&entry.path, self.limits.depth)?;
        if path.is_empty() {
            return self.root_entry(entry);
        }
        let (dir, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path.as_slice()),
        };
        match whiteout::meaning(dir, name)? {
            Meaning::Internal => return Ok(()),
            Meaning::Opaque => return self.opaque(dir),
            Meaning::Whiteout(hidden) => return self.whiteout(entry, dir, hidden),
            Meaning::Plain => {}
        }
        // Nothing may be made for them: not a node, and not a way to it either.
        if matches!(entry.kind, Type::CharDevice | Type::BlockDevice) {
            self.notes.devices += 1;
            return Ok(());
        }
        let parent = self.tree.parent(dir)?;
        let place = Place { dir: parent.as_fd(), name: &c_name(name)?, path: &path };
        match entry.kind {
            Type::File => self.file(entry, &place, archive)?,
            Type::Directory => return self.directory(entry, &place),
            Type::Symlink => self.symlink(entry, &place)?,
            Type::HardLink => self.hard_link(entry, &place)?,
            _ => self.fifo(entry, &place)?,
        }
        self.note_owner(entry, &path);
        Ok(())
    }

    /// The root can get attributes, and cannot become anything else (attack case 4).
    fn root_entry(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Type::Directory {
            return Err(Error::new(Kind::Image, "the archive's root is not a directory"));
        }
        let root =
            openat(self.tree.root(), ".", DIRECTORY, Mode::empty()).map_err(|e| failed("open", b"", e))?;
        self.finish_directory(entry, b"", root.as_fd(), false)
    }

    fn opaque(&mut self, dir: &[u8]) -> Result<()> {
        let parent = self.tree.parent(dir)?;
        let fail = |e| failed("make opaque", dir, e);
        let parent = openat(parent.as_fd(), ".", DIRECTORY, Mode::empty()).map_err(fail)?;
        whiteout::set_opaque(parent.as_fd()).map_err(fail)
    }

    fn whiteout(&mut self, entry: &Entry, dir: &[u8], hidden: &[u8]) -> Result<()> {
        let path = join(dir, hidden);
        let fail = |e| failed("make whiteout", &path, e);
        let parent = self.tree.parent(dir)?;
        let name = c_name(hidden)?;
        match lstat(parent.as_fd(), &name).map_err(fail)? {
            None => {
                whiteout::make(parent.as_fd(), &name).map_err(fail)?;
                // Packed again, it is what it was.
                let time = mtime(entry);
                utimensat(&parent, name.as_c_str(), &time, &time, UtimensatFlags::NoFollowSymlink)
                    .map_err(fail)
            }
            Some(status) if file_type(&status) == SFlag::S_IFDIR => {
                let own = openat(parent.as_fd(), name.as_c_str(), DIRECTORY, Mode::empty()).map_err(fail)?;
                whiteout::set_opaque(own.as_fd()).map_err(fail)
            }
            // This layer's own file hides the lower one already.
            Some(_) => Ok(()),
        }
    }

    fn file<R: BufRead>(&mut self, entry: &Entry, place: &Place<'_>, archive: &mut Archive<R>) -> Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(entry.mode & 0o777);
        let fd = self.once_more(place, || openat(place.dir, place.name, flags, mode))?;
        let file = File::from(fd);
        let written = match &entry.sparse {
            None => copy_whole(&file, archive, place.path),
            Some(map) => copy_sparse(&file, archive, place.path, map, entry.size),
        };
        let written = written?;
        self.notes.size += written;
        if written >= EARLY_WRITEBACK {
            sys::fd::begin_writeback(file.as_fd());
        }
        self.attributes(entry, place.path, file.as_fd(), entry.mode, true)?;
        futimens(file.as_fd(), &mtime(entry), &mtime(entry))
            .map_err(|e| failed("set the time of", place.path, e))
    }

    fn directory(&mut self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        let fail = |e| failed("create directory", place.path, e);
        // The owner must be able to fill it; the rest of the mode comes at the end.
        let mode = Mode::from_bits_truncate(entry.mode & 0o777 | 0o700);
        let (mut hides_lower, mut fresh) = (false, true);
        match mkdirat(place.dir, place.name, mode) {
            Ok(()) => {}
            Err(Errno::EEXIST) => match lstat(place.dir, place.name).map_err(fail)? {
                Some(status) if file_type(&status) == SFlag::S_IFDIR => fresh = false,
                found => {
                    hides_lower = match found {
                        Some(status) => whiteout::is_at(place.dir, place.name, &status).map_err(fail)?,
                        None => false,
                    };
                    self.tree.clear(place.dir, place.name).map_err(fail)?;
                    mkdirat(place.dir, place.name, mode).map_err(fail)?;
                }
            },
            Err(e) => return Err(fail(e)),
        }
        let dir = openat(place.dir, place.name, DIRECTORY, Mode::empty()).map_err(fail)?;
        if hides_lower {
            whiteout::set_opaque(dir.as_fd()).map_err(fail)?;
        }
        self.finish_directory(entry, place.path, dir.as_fd(), fresh)?;
        self.tree.keep(place.path, Rc::new(dir));
        Ok(())
    }

    fn finish_directory(
        &mut self,
        entry: &Entry,
        path: &[u8],
        dir: BorrowedFd<'_>,
        fresh: bool,
    ) -> Result<()> {
        self.attributes(entry, path, dir, entry.mode | 0o700, fresh)?;
        self.inherits |=
            entry.mode & 0o2000 != 0 || entry.xattrs.iter().any(|(name, _)| access_list::is(name));
        self.tree.implied.remove(path);
        self.pending.insert(path.to_vec(), Pending { mode: entry.mode, mtime: mtime(entry) });
        self.note_owner(entry, path);
        Ok(())
    }

    fn symlink(&mut self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        if entry.link.is_empty() || entry.link.contains(&0) || entry.link.len() >= 4096 {
            return Err(Error::new(
                Kind::Image,
                format!("symlink {} has no usable target", shown(place.path)),
            ));
        }
        let target = c_name(&entry.link)?;
        self.once_more(place, || symlinkat(target.as_c_str(), place.dir, place.name))?;
        self.own_by_name(entry, place)?;
        self.time_by_name(entry, place)
    }

    fn fifo(&mut self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        let mode = Mode::from_bits_truncate(entry.mode & 0o777);
        self.once_more(place, || mknodat(place.dir, place.name, SFlag::S_IFIFO, mode, 0))?;
        self.own_by_name(entry, place)?;
        let fail = |e| failed("set the mode of", place.path, e);
        // A FIFO is never opened for reading or writing, only held; its link in /proc is not followed
        // further, since it leads to the very inode.
        let held = openat(
            place.dir,
            place.name,
            OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
            Mode::empty(),
        );
        attributes::chmod_held(held.map_err(fail)?.as_fd(), entry.mode).map_err(fail)?;
        self.time_by_name(entry, place)
    }

    /// Links to a file of this layer, or notes that the target must be in a lower one.
    fn hard_link(&mut self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        let target = normalise(&entry.link, self.limits.depth)?;
        let (dir, name) = match target.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&target[..slash], &target[slash + 1..]),
            None => (&b""[..], target.as_slice()),
        };
        if name.is_empty() {
            return Err(Error::new(Kind::Image, format!("hard link {} to the root", shown(place.path))));
        }
        let fail = |e| failed("link to", &target, e);
        let name = c_name(name)?;
        let found = match self.tree.existing_parent(dir) {
            Ok(dir) => match lstat(dir.as_fd(), &name).map_err(fail)? {
                Some(status) if whiteout::is_at(dir.as_fd(), &name, &status).map_err(fail)? => None,
                found => found.map(|status| (dir, status)),
            },
            Err(Errno::ENOENT | Errno::ENOTDIR) => None,
            Err(e) => return Err(fail(e)),
        };
        let Some((dir, status)) = found else {
            self.notes.unresolved.push((place.path.to_vec(), target));
            return Ok(());
        };
        if file_type(&status) == SFlag::S_IFDIR {
            return Err(Error::new(Kind::Image, format!("hard link {} to a directory", shown(place.path))));
        }
        if let Some(own) = lstat(place.dir, place.name).map_err(fail)?
            && (own.st_dev, own.st_ino) == (status.st_dev, status.st_ino)
        {
            return Ok(());
        }
        self.once_more(place, || {
            linkat(dir.as_fd(), name.as_c_str(), place.dir, place.name, AtFlags::empty())
        })
    }

    /// Tries to create something; if the name exists, removes that and tries again.
    fn once_more<T>(&mut self, place: &Place<'_>, make: impl Fn() -> nix::Result<T>) -> Result<T> {
        let made = match make() {
            Err(Errno::EEXIST) => {
                let cleared = self.tree.clear(place.dir, place.name);
                self.pending.remove(place.path);
                self.tree.implied.remove(place.path);
                cleared.and_then(|()| make())
            }
            other => other,
        };
        made.map_err(|e| failed("create", place.path, e))
    }

    /// Owner, mode and extended attributes, in the order that keeps set-id bits and capabilities. What is
    /// `fresh` was made with this mode, by us.
    fn attributes(
        &mut self,
        entry: &Entry,
        path: &[u8],
        fd: BorrowedFd<'_>,
        mode: u32,
        fresh: bool,
    ) -> Result<()> {
        let ours = fresh && !self.inherits;
        if self.ownership == Ownership::Set && !(ours && entry.uid == 0 && entry.gid == 0) {
            fchown(fd, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
                .map_err(|e| own_error(entry, path, e))?;
        }
        if !ours || mode & self.umask != 0 || mode & 0o7000 != 0 {
            fchmod(fd, Mode::from_bits_truncate(mode)).map_err(|e| failed("set the mode of", path, e))?;
        }
        for (name, value) in &entry.xattrs {
            let kept = attributes::set_from_archive(fd, name, value);
            if !kept.map_err(|e| failed("set an attribute of", path, e))? {
                self.notes.xattrs_dropped += 1;
            }
        }
        Ok(())
    }

    fn own_by_name(&self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        if self.ownership == Ownership::Recorded {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        fchownat(place.dir, place.name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .map_err(|e| own_error(entry, place.path, e))
    }

    fn time_by_name(&self, entry: &Entry, place: &Place<'_>) -> Result<()> {
        let time = mtime(entry);
        utimensat(place.dir, place.name, &time, &time, UtimensatFlags::NoFollowSymlink)
            .map_err(|e| failed("set the time of", place.path, e))
    }

    fn note_owner(&mut self, entry: &Entry, path: &[u8]) {
        if self.ownership == Ownership::Recorded {
            self.notes.owners.note(path, entry.uid, entry.gid);
        }
    }

    /// Sets what had to wait until the directories were full, and returns what is known of the layer.
    pub(super) fn finish(mut self) -> Result<Notes> {
        // Deepest first, so that a directory is still open to us when its content is done.
        for (path, pending) in self.pending.iter().rev() {
            let fail = |e| failed("set the attributes of", path, e);
            let dir: OwnedFd = match super::tree::resolve(self.tree.root(), path, DIRECTORY) {
                Ok(dir) => dir,
                // Something else took its place later in the archive.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => continue,
                Err(e) => return Err(fail(e)),
            };
            futimens(dir.as_fd(), &pending.mtime, &pending.mtime).map_err(fail)?;
            if pending.mode & 0o700 != 0o700 {
                fchmod(dir.as_fd(), Mode::from_bits_truncate(pending.mode)).map_err(fail)?;
            }
        }
        self.notes.implied = std::mem::take(&mut self.tree.implied);
        Ok(self.notes)
    }
}

/// Where an entry goes.
struct Place<'a> {
    dir: BorrowedFd<'a>,
    name: &'a CStr,
    path: &'a [u8],
}

pub(super) fn mtime(entry: &Entry) -> TimeSpec {
    TimeSpec::new(entry.mtime, libc::c_long::from(entry.mtime_nanos.cast_signed()))
}

/// An owner that cannot be set is almost always one outside the map.
fn own_error(entry: &Entry, path: &[u8], errno: Errno) -> Error {
    if errno != Errno::EINVAL {
        return failed("set the owner of", path, errno);
    }
    Error::new(
        Kind::Host,
        format!("{} belongs to {}:{}, which is outside this account's ids", shown(path), entry.uid, entry.gid),
    )
    .hint("Give the account a larger range: sudo usermod --add-subuids 100000-1000000 --add-subgids 100000-1000000 $USER")
}

pub(super) fn copy_whole<R: BufRead>(file: &File, archive: &mut Archive<R>, path: &[u8]) -> Result<u64> {
    let mut written = 0;
    while let Some(piece) = archive.data()? {
        let count = piece.len();
        { file }.write_all(piece).map_err(|e| write_error(path, &e))?;
        archive.consume(count);
        written += count as u64;
    }
    Ok(written)
}

pub(super) fn copy_sparse<R: BufRead>(
    file: &File,
    archive: &mut Archive<R>,
    path: &[u8],
    map: &[(u64, u64)],
    size: u64,
) -> Result<u64> {
    let mut written = 0;
    for (offset, length) in map {
        let mut done = 0;
        while done < *length {
            let Some(piece) = archive.data()? else { break };
            let count = piece.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
            file.write_all_at(&piece[..count], offset + done).map_err(|e| write_error(path, &e))?;
            archive.consume(count);
            done += count as u64;
        }
        written += done;
    }
    file.set_len(size).map_err(|e| write_error(path, &e))?;
    Ok(written)
}

fn write_error(path: &[u8], e: &std::io::Error) -> Error {
    failed("write", path, e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}
