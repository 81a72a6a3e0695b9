//! Packing files into an archive: a layer, a container's changes, a whole root, one file.
//!
//! Theory of operation. A directory descriptor goes in, a tar stream comes out. Every file is first opened with
//! `O_PATH` and `O_NOFOLLOW` and examined; only a regular file or a directory is then opened for reading,
//! through that descriptor. So nobody can swap in a device, a FIFO or a symlink in between, and no path is ever
//! used twice. Names are in byte order and headers contain nothing about this machine, so the same tree
//! produces the same bytes. Owners are those of the calling process's user namespace, or translated by
//! [`Options::ids`]. A small file is read before its header is written, which so tells how many bytes there are; a
//! large one that grows or shrinks meanwhile keeps the length in its header. Holes that are large enough stay
//! holes, in the format that GNU tar calls PAX 1.0 and that it, Go's programs and our own unpacker read.
//!
//! The upper directory of an overlay contains overlay's whiteouts and opaque markers; with [`Whiteouts::Names`]
//! these become the names that layers use (OCI image spec, layer.md, "Whiteouts").

mod attributes;
mod header;
mod output;

pub use attributes::read as attributes;

use crate::container::ids::IdMaps;
use crate::error::{Error, Kind, Result};
use crate::storage::unpack::{BASE, DIRECTORY, file_type};
use crate::storage::{holes, tree, whiteout};
use crate::sys::fd;
use header::{BLOCK, Entry, map};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, major, minor};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs};
use output::{BUFFER, Output, failed, padding, read_error, shown};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

/// Longest path in an archive, which also bounds the depth (PATH_MAX): one descriptor for each directory.
const PATH_MAX: usize = 4095;

/// Bytes of holes from which on a file is packed with them. Fewer are written as zeros, which every reader
/// understands.
const HOLES_MIN: u64 = 1 << 20;

/// Most bytes of a file whose size is not known, which has to be read before it is packed.
const GENERATED_MAX: u64 = 64 << 20;

/// An answer about a path in an archive.
pub type ByPath<'a> = &'a dyn Fn(&[u8]) -> bool;

/// What becomes of overlay's whiteouts and opaque marks.
#[derive(Clone, Copy, Default)]
pub enum Whiteouts<'a> {
    /// The tree is not an overlay's upper directory and has none.
    #[default]
    None,
    /// They become `.wh.` names. The function says whether the layers below have a directory at this
    /// path: an opaque mark that hides nothing is left out, as overlay puts one on every new directory.
    Names(ByPath<'a>),
}

/// How files are packed. The default is right for a whole tree.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Overlay's whiteouts.
    pub whiteouts: Whiteouts<'a>,
    /// Pack what is mounted below as an empty file or directory.
    pub one_mount: bool,
    /// Keep the fractions of seconds, at the price of an extended header for nearly every file.
    pub nanoseconds: bool,
    /// The owner that all files get, in place of their own.
    pub owner: Option<(u32, u32)>,
    /// The ids of the container whose files these are.
    pub ids: Option<&'a IdMaps>,
    /// What is packed is shown as it is: a file that becomes shorter while it is read is a failure, where else
    /// zeros take the place of what is missing; and what the kernel has mounted below stays out.
    pub whole: bool,
    /// The archive goes where the option `-o FILE` says.
    pub to_file: bool,
    /// The files themselves are to be synced soon: the kernel begins to write large ones as they are packed.
    pub settling: bool,
    /// Says which paths (as in the archive, without a slash at the end) are left out with all below.
    pub skip: Option<ByPath<'a>>,
}

/// What was packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packed {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Sockets, which an archive cannot hold.
    pub sockets: u64,
    /// Files whose names would hide others.
    pub reserved: u64,
}

/// The name of a file with several. Names are at hand until the end, so files of one directory share its
/// path: what is held grows with what is on the disk, and not with how long its paths are.
struct Linked {
    /// Empty, or with a slash at the end.
    dir: Rc<[u8]>,
    base: Box<[u8]>,
}

/// A directory that is being packed.
struct Level {
    dir: OwnedFd,
    names: std::vec::IntoIter<CString>,
    /// How long its path is.
    path: usize,
}

/// Writes an archive.
pub struct Packer<'a, W: Write> {
    out: Output<W>,
    options: Options<'a>,
    /// First names of files with several, by device and inode.
    links: HashMap<(u64, u64), Linked>,
    /// The directory of the last of them.
    last: Rc<[u8]>,
    packed: Packed,
}

impl<'a, W: Write> Packer<'a, W> {
    /// An archive that is written to `out`.
    pub fn new(out: W, options: Options<'a>) -> Self {
        Packer {
            out: Output::new(out, options.to_file),
            options,
            links: HashMap::new(),
            last: Rc::from([]),
            packed: Packed::default(),
        }
    }

    /// Packs a directory's own attributes as those of the archive's root, `./`.
    ///
    /// # Errors
    /// As [`Packer::tree`].
    pub fn root(&mut self, dir: BorrowedFd<'_>) -> Result<()> {
        let fail = |e| failed(b"", e);
        let open = openat(dir, ".", DIRECTORY, Mode::empty()).map_err(fail)?;
        let status = fstat(&open).map_err(fail)?;
        let xattrs = self.attributes(open.as_fd()).map_err(fail)?;
        self.entry(&Entry { xattrs: &xattrs, ..self.described(&status, b'5', b"./") })
    }

    /// Packs everything in a directory, which itself gets no entry; every name begins with `prefix`
    /// (empty, or a path without a slash at the end).
    ///
    /// # Errors
    /// [`Kind::Storage`] when a file cannot be read or the output takes no more,
    /// [`Kind::OutputClosed`] when the reader of the output has gone.
    pub fn tree(&mut self, dir: BorrowedFd<'_>, prefix: &[u8]) -> Result<()> {
        let fail = |e| failed(prefix, e);
        let mount = fd::mount_id(dir).map_err(fail)?;
        match openat(dir, ".", DIRECTORY, Mode::empty()) {
            // Removed under our eyes.
            Err(Errno::ENOENT) => Ok(()),
            dir => self.below(dir.map_err(fail)?, &mut prefix.to_vec(), mount),
        }
    }

    /// Packs what a descriptor (`O_PATH` will do) refers to, a directory with everything below it, under
    /// the name `path`.
    ///
    /// # Errors
    /// As [`Packer::tree`].
    pub fn object(&mut self, held: OwnedFd, path: &[u8]) -> Result<()> {
        let mount = fd::mount_id(held.as_fd()).map_err(|e| failed(path, e))?;
        let mut path = path.to_vec();
        match self.held(held, &path, mount)? {
            Some(dir) => self.below(dir, &mut path, mount),
            None => Ok(()),
        }
    }

    /// Packs a file of our own making: owner 0:0, no time.
    ///
    /// # Errors
    /// As [`Packer::stream`].
    pub fn file(&mut self, path: &[u8], mode: u32, content: &[u8]) -> Result<()> {
        self.stream(path, mode, content.len() as u64, &mut &*content)
    }

    /// Packs `size` bytes from a reader as a file of our own making.
    ///
    /// # Errors
    /// When the output takes no more, or the reader fails or ends before.
    pub fn stream(&mut self, path: &[u8], mode: u32, size: u64, from: &mut impl Read) -> Result<()> {
        self.entry(&Entry { flag: b'0', name: path, mode, size, ..Entry::default() })?;
        let short = self.out.content(from, size, path)?;
        if short > 0 {
            return Err(Error::new(Kind::Storage, format!("{} is shorter than it was", shown(path))));
        }
        Ok(())
    }

    /// Packs a directory of our own making: owner 0:0, no time.
    ///
    /// # Errors
    /// When the output takes no more.
    pub fn directory(&mut self, path: &[u8], mode: u32) -> Result<()> {
        let name = [path, b"/"].concat();
        self.entry(&Entry { flag: b'5', name: &name, mode, ..Entry::default() })
    }

    /// Ends the archive; gives back the output, flushed, and what was packed.
    ///
    /// # Errors
    /// When the output takes no more.
    pub fn finish(mut self) -> Result<(W, Packed)> {
        self.out.put(&[0; 2 * BLOCK])?;
        self.packed.bytes = self.out.bytes;
        Ok((self.out.end()?, self.packed))
    }

    /// Packs what is in a directory. Not by recursion: how deep it goes is for a container to say.
    fn below(&mut self, dir: OwnedFd, path: &mut Vec<u8>, mount: u64) -> Result<()> {
        let mut open: Vec<Level> = Level::of(dir, path)?.into_iter().collect();
        while let Some(level) = open.last_mut() {
            path.truncate(level.path);
            let Some(name) = level.names.next() else {
                open.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.to_bytes());
            if let Some(dir) = self.child(level.dir.as_fd(), &name, path, mount)? {
                open.extend(Level::of(dir, path)?);
            }
        }
        Ok(())
    }

    /// Packs one entry; returns the directory whose entries come next, if it is one.
    fn child(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        path: &[u8],
        mount: u64,
    ) -> Result<Option<OwnedFd>> {
        if self.options.skip.is_some_and(|skip| skip(path)) {
            return Ok(None);
        }
        if path.len() > PATH_MAX {
            return Err(failed(path, Errno::ENAMETOOLONG));
        }
        match hold(dir, name) {
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(failed(path, e)),
            Ok(held) => self.held(held, path, mount),
        }
    }

    /// As [`Packer::child`], of what is held.
    fn held(&mut self, held: OwnedFd, path: &[u8], mount: u64) -> Result<Option<OwnedFd>> {
        let fail = |e| failed(path, e);
        let status = fstat(&held).map_err(fail)?;
        let kind = file_type(&status);
        if let Whiteouts::Names(_) = self.options.whiteouts {
            if whiteout::is_held(held.as_fd(), &status).map_err(fail)? {
                return self.whiteout(&status, path).map(|()| None);
            }
            if whiteout::is_reserved(base(path)) {
                self.packed.reserved += 1;
                log::warn!("{} is left out: its name would hide another file", shown(path));
                return Ok(None);
            }
        }
        if kind == SFlag::S_IFSOCK {
            self.packed.sockets += 1;
            return Ok(None);
        }
        let of_kernel = || self.options.whole && kind == SFlag::S_IFDIR && is_kernels(held.as_fd());
        let elsewhere =
            (self.options.one_mount || of_kernel()) && fd::mount_id(held.as_fd()).map_err(fail)? != mount;
        if kind == SFlag::S_IFDIR {
            return self.packed_directory(held, &status, path, elsewhere);
        }
        self.other(&held, &status, path, elsewhere).map(|()| None)
    }

    /// Packs what is no directory.
    fn other(&mut self, held: &OwnedFd, status: &FileStat, path: &[u8], elsewhere: bool) -> Result<()> {
        let fail = |e| failed(path, e);
        if status.st_nlink > 1 && !elsewhere {
            let inode = (status.st_dev, status.st_ino);
            if let Some(first) = self.links.get(&inode) {
                let first = [&*first.dir, &*first.base].concat();
                let entry = Entry { link: &first, ..self.described(status, b'1', path) };
                return self.entry(&entry);
            }
            let (dir, base) = path.split_at(path.len() - base(path).len());
            if *self.last != *dir {
                self.last = dir.into();
            }
            self.links.insert(inode, Linked { dir: self.last.clone(), base: base.into() });
        }
        match file_type(status) {
            SFlag::S_IFREG => self.regular(held, status, path, elsewhere),
            SFlag::S_IFLNK => {
                let target = readlinkat(held, "").map_err(fail)?;
                let entry = Entry { link: target.as_bytes(), ..self.described(status, b'2', path) };
                self.entry(&entry)
            }
            SFlag::S_IFIFO => self.entry(&self.described(status, b'6', path)),
            kind => {
                let flag = if kind == SFlag::S_IFCHR { b'3' } else { b'4' };
                let number = |n: u64| u32::try_from(n).unwrap_or(0);
                let device = (number(major(status.st_rdev)), number(minor(status.st_rdev)));
                let entry = Entry { device, ..self.described(status, flag, path) };
                self.entry(&entry)
            }
        }
    }

    fn packed_directory(
        &mut self,
        held: OwnedFd,
        status: &FileStat,
        path: &[u8],
        elsewhere: bool,
    ) -> Result<Option<OwnedFd>> {
        let name = [path, b"/"].concat();
        if elsewhere {
            return self.entry(&self.described(status, b'5', &name)).map(|()| None);
        }
        let fail = |e| failed(path, e);
        let dir = openat(&held, ".", DIRECTORY, Mode::empty()).map_err(fail)?;
        drop(held);
        let xattrs = self.attributes(dir.as_fd()).map_err(fail)?;
        let entry = Entry { xattrs: &xattrs, ..self.described(status, b'5', &name) };
        self.entry(&entry)?;
        if let Whiteouts::Names(hides) = self.options.whiteouts
            && whiteout::is_opaque(dir.as_fd()).map_err(fail)?
            && hides(path)
        {
            let name = [&name, whiteout::OPAQUE].concat();
            let entry = Entry { size: 0, mode: 0o600, ..self.described(status, b'0', &name) };
            self.entry(&entry)?;
        }
        Ok(Some(dir))
    }

    fn whiteout(&mut self, status: &FileStat, path: &[u8]) -> Result<()> {
        let base = base(path);
        let name = [&path[..path.len() - base.len()], whiteout::PREFIX, base].concat();
        let entry = Entry { mode: 0o600, ..self.described(status, b'0', &name) };
        self.entry(&entry)
    }

    fn regular(&mut self, held: &OwnedFd, status: &FileStat, path: &[u8], empty: bool) -> Result<()> {
        let fail = |e| failed(path, e);
        if empty {
            return self.entry(&self.described(status, b'0', path));
        }
        // Opens the very inode that was looked at, whatever has its name now.
        let link = fd::link_of(held);
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let open = || openat(AT_FDCWD, link.as_str(), flags, Mode::empty());
        let mut file = File::from(fd::despite_leases(open).map_err(fail)?);
        let xattrs = self.attributes(file.as_fd()).map_err(fail)?;
        let entry = Entry { xattrs: &xattrs, ..self.described(status, b'0', path) };
        if status.st_size < BUFFER as i64 && self.small(&mut file, &entry)? {
            return Ok(());
        }
        if self.options.settling {
            fd::begin_writeback(file.as_fd());
        }
        // It has grown, perhaps.
        let status = &fstat(&file).map_err(fail)?;
        let size = u64::try_from(status.st_size).unwrap_or(0);
        let entry = Entry { size, ..entry };
        let short = match self.with_holes(&mut file, status, &entry)? {
            Some(short) => short,
            None => {
                self.entry(&entry)?;
                self.out.content(&mut file, size, path)?
            }
        };
        if short == 0 {
            return Ok(());
        }
        let what = format!("{} shrank by {short} bytes while it was read", shown(path));
        if self.options.whole {
            return Err(Error::new(Kind::Storage, what)
                .hint("Try again, with the container paused: coracle pause NAME"));
        }
        log::warn!("{what}; zeros take their place");
        Ok(())
    }

    /// Packs a file of less bytes than the buffer has, as reading gives them: what a file of `/proc` or `/sys` says
    /// of its size means nothing. False for one that turns out to be larger; nothing of it is packed then.
    fn small(&mut self, file: &mut File, entry: &Entry<'_>) -> Result<bool> {
        let path = entry.name;
        let length = self.out.fill(file, path)?;
        let mut rest = Vec::new();
        if length == BUFFER {
            if fstat(&*file).map_err(|e| failed(path, e))?.st_size >= BUFFER as i64 {
                return file.rewind().map(|()| false).map_err(|e| read_error(path, &e));
            }
            let read = file.take(GENERATED_MAX).read_to_end(&mut rest);
            if read.map_err(|e| read_error(path, &e))? as u64 == GENERATED_MAX {
                return Err(Error::new(Kind::Storage, format!("{} has no end", shown(path))));
            }
        }
        self.entry(&Entry { size: (length + rest.len()) as u64, ..entry.clone() })?;
        self.out.filled(length, &rest).map(|()| true)
    }

    /// Packs a file as its pieces with data, if it has holes enough; returns what [`Output::content`] does.
    fn with_holes(&mut self, file: &mut File, status: &FileStat, entry: &Entry<'_>) -> Result<Option<u64>> {
        // The number of blocks is a cheap hint; on a file system that compresses or shares blocks the search
        // finds nothing.
        let blocks = u64::try_from(status.st_blocks).unwrap_or(0).saturating_mul(512);
        if blocks.saturating_add(HOLES_MIN) > entry.size {
            return Ok(None);
        }
        let mut pieces = holes::pieces(file.as_fd(), entry.size).map_err(|e| match e {
            Errno::EFBIG => {
                let most = holes::PIECES_MAX;
                Error::new(Kind::Storage, format!("{} has more than {most} holes", shown(entry.name)))
                    .hint("Fill them first: cp --sparse=never FILE FULL && mv FULL FILE")
            }
            e => failed(entry.name, e),
        })?;
        let data: u64 = pieces.iter().map(|(_, length)| length).sum();
        if entry.size - data < HOLES_MIN {
            return Ok(None);
        }
        // GNU tar ends a map in this way, to represent a hole at the end.
        pieces.push((entry.size, 0));
        let map = map(&pieces);
        self.entry(&Entry { size: map.len() as u64 + data, real_size: Some(entry.size), ..entry.clone() })?;
        self.out.put(&map)?;
        let mut short = 0;
        for (offset, length) in pieces {
            let sought = file.seek(SeekFrom::Start(offset));
            sought.map_err(|e| read_error(entry.name, &e))?;
            short += self.out.take(file, length, entry.name)?;
        }
        self.out.zeros(padding(data))?;
        Ok(Some(short))
    }

    /// An entry with what a file's status says; links, content and the rest are the caller's.
    fn described<'e>(&self, status: &FileStat, flag: u8, name: &'e [u8]) -> Entry<'e> {
        let (uid, gid) = self.options.owner.unwrap_or_else(|| self.owner(status));
        let nanos =
            if self.options.nanoseconds { u32::try_from(status.st_mtime_nsec).unwrap_or(0) } else { 0 };
        Entry {
            flag,
            name,
            mode: status.st_mode & 0o7777,
            uid,
            gid,
            mtime: (status.st_mtime, nanos),
            ..Entry::default()
        }
    }

    /// The owner inside; an owner that does not exist there becomes nobody.
    fn owner(&self, status: &FileStat) -> (u32, u32) {
        const NOBODY: u32 = 65534;
        let owner = (status.st_uid, status.st_gid);
        let Some(ids) = self.options.ids else { return owner };
        let (uid, gid) = ids.inside(owner);
        (uid.unwrap_or(NOBODY), gid.unwrap_or(NOBODY))
    }

    fn attributes(&self, file: BorrowedFd<'_>) -> nix::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        attributes(file, self.options.ids)
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<()> {
        self.packed.entries += 1;
        self.out.put(&entry.blocks())
    }
}

impl Level {
    /// `None` for a directory that was removed under our eyes.
    fn of(dir: OwnedFd, path: &[u8]) -> Result<Option<Level>> {
        let mut names = match tree::names(dir.as_fd()) {
            Err(Errno::ENOENT) => return Ok(None),
            other => other.map_err(|e| failed(path, e))?,
        };
        names.sort_unstable();
        Ok(Some(Level { dir, names: names.into_iter(), path: path.len() }))
    }
}

/// Whether files are the kernel's own words, such as those of `/proc`.
fn is_kernels(held: BorrowedFd<'_>) -> bool {
    let kinds = [PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC];
    fstatfs(held).is_ok_and(|found| kinds.contains(&found.filesystem_type()))
}

/// Holds a file without opening it.
fn hold(dir: BorrowedFd<'_>, name: &CStr) -> nix::Result<OwnedFd> {
    openat(dir, name, BASE.difference(OFlag::O_DIRECTORY) | OFlag::O_NOFOLLOW, Mode::empty())
}

/// The last component of a path.
fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
