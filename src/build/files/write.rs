//! Writing a selection below a destination.
//!
//! Theory of operation. The rules are those of the Dockerfile reference and of fsutil's copy: directories are merged
//! with those that are there and get the attributes of the ones copied, the destination itself keeps its own but for its
//! time; files take the place of files. Sources are opened by the paths without symlinks that were found when they were
//! selected; one that has changed since is written as it is now, and the caller is told.

use super::apart::unlink;
use super::attributes;
use super::destination::Destination;
use super::maker::{Maker, Target, Write, Written, owner_failed};
use super::node::{Directory, Identity, Kind, Node};
use super::path::{join, shown};
use super::selection::{Selection, What};
use super::tree::{Owners, Tree, failed, io_failed, unreadable};
use super::unpacking;
use crate::error::{Result, phrases};
use crate::storage::copy;
use crate::storage::unpack::{DIRECTORY, chmod_held, file_type, lstat, set_from_archive};
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag, openat};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fchmod, fstat, mkdirat, mknodat, utimensat};
use nix::unistd::{fchownat, linkat, symlinkat};
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Largest file that is copied through memory, in bytes.
const SMALL: u64 = 128 << 10;
/// Size of the unit that `st_blocks` counts in, in bytes (stat(2)).
const BLOCK: u64 = 512;

impl Selection<'_> {
    /// Writes what is selected. A directory's contents go into the destination, which is made if it is missing; a file
    /// goes into a destination that is a directory, and otherwise becomes it. Several are put into a directory.
    ///
    /// # Errors
    /// A directory that would take the place of a file, or the other way round; a file that cannot be read or made; an
    /// owner that this account cannot give.
    pub fn write(&self, into: &Destination<'_>, how: &Write) -> Result<Written> {
        let mut writer = Writer {
            tree: self.tree,
            maker: Maker::new(how)?,
            root: into.root,
            from: Vec::new(),
            to: Vec::new(),
            links: Links::default(),
            buffer: Vec::new(),
            done: Written::default(),
        };
        let into = if self.items.len() > 1 { into.clone().of_several() } else { into.clone() };
        for item in &self.items {
            writer.from.clone_from(&item.path);
            match &item.what {
                What::Contents(nodes, modified) => {
                    let (dir, path) = writer.maker.directory(&into)?;
                    writer.to = path;
                    writer.children(dir.as_fd(), nodes)?;
                    let time = writer.maker.time(*modified);
                    utimensat(&dir, ".", &time, &time, UtimensatFlags::NoFollowSymlink)
                        .map_err(|e| failed("set the time of", &writer.to, e))?;
                }
                What::File(node) => writer.source(&into, node)?,
            }
        }
        writer.maker.settle()?;
        Ok(writer.done)
    }
}

/// Files with several names, and where they were written first.
#[derive(Default)]
struct Links {
    /// Directory and name by device and inode in the tree.
    first: HashMap<(u64, u64), (Vec<u8>, CString)>,
    /// Device and inode by path.
    by_path: HashMap<Vec<u8>, (u64, u64)>,
}

impl Links {
    fn insert(&mut self, identity: &Identity, dir: &[u8], name: &CStr) {
        let inode = (identity.dev, identity.ino);
        self.by_path.insert(join(dir, name.to_bytes()), inode);
        self.first.insert(inode, (dir.to_vec(), name.to_owned()));
    }

    /// Something else takes the place at this path.
    fn replace(&mut self, dir: &[u8], name: &CStr) {
        if !self.by_path.is_empty()
            && let Some(inode) = self.by_path.remove(&join(dir, name.to_bytes()))
        {
            self.first.remove(&inode);
        }
    }
}

struct Writer<'a> {
    tree: &'a Tree,
    maker: Maker<'a>,
    root: BorrowedFd<'a>,
    /// The path of what is copied, in the tree.
    from: Vec<u8>,
    /// The path of the directory it goes to, in the root.
    to: Vec<u8>,
    links: Links,
    buffer: Vec<u8>,
    done: Written,
}

impl Writer<'_> {
    /// A source that is no directory.
    fn source(&mut self, into: &Destination<'_>, node: &Node) -> Result<()> {
        if self.maker.how.unpack && matches!(node.kind, Kind::File(..)) {
            let (mut file, _) = self.tree.open(&self.from).map_err(|e| unreadable("open", &self.from, e))?;
            if unpacking::is_archive(&mut file)? {
                let done = unpacking::unpack(&self.maker, into, file)?;
                self.done.files += done.files;
                self.done.devices += done.devices;
                // It may have replaced anything.
                self.links = Links::default();
                return Ok(());
            }
        }
        let Target { dir, dir_path, name } = self.maker.file_target(into, &node.name)?;
        self.to = dir_path;
        self.leaf(dir.as_fd(), &name, node)
    }

    fn children(&mut self, to: BorrowedFd<'_>, nodes: &[Node]) -> Result<()> {
        for node in nodes {
            let length = self.from.len();
            if length > 0 {
                self.from.push(b'/');
            }
            self.from.extend_from_slice(node.name.to_bytes());
            match &node.kind {
                Kind::Directory(directory) => self.directory(to, node, directory)?,
                _ => self.leaf(to, &node.name, node)?,
            }
            self.from.truncate(length);
        }
        Ok(())
    }

    fn directory(&mut self, to: BorrowedFd<'_>, node: &Node, directory: &Directory) -> Result<()> {
        let length = self.to.len();
        self.to = join(&self.to, node.name.to_bytes());
        let name = node.name.as_c_str();
        let made = match mkdirat(to, name, Mode::S_IRWXU) {
            Ok(()) => true,
            Err(Errno::EEXIST) if self.maker.how.apart && !is_directory(to, name) => {
                let made = unlink(to, name).and_then(|()| mkdirat(to, name, Mode::S_IRWXU));
                made.map(|()| true).map_err(|e| failed("create directory", &self.to, e))?
            }
            Err(Errno::EEXIST) => false,
            Err(e) => return Err(failed("create directory", &self.to, e)),
        };
        let dir = match openat(to, name, DIRECTORY, Mode::empty()) {
            Err(Errno::ENOTDIR | Errno::ELOOP) => {
                return Err(phrases::no_directory_to_copy_to(&shown(&self.to)));
            }
            other => other.map_err(|e| failed("open directory", &self.to, e))?,
        };
        self.children(dir.as_fd(), &directory.children)?;
        if made || !directory.implied {
            self.finish_directory(&dir, node, directory)?;
        }
        self.to.truncate(length);
        Ok(())
    }

    /// Gives a directory its attributes, once it is full.
    fn finish_directory(&self, dir: &OwnedFd, node: &Node, directory: &Directory) -> Result<()> {
        self.maker.set_owner(dir.as_fd(), self.owner(node)).map_err(|e| owner_failed(&self.to, e))?;
        let fail = |e| failed("set the attributes of", &self.to, e);
        fchmod(dir, Mode::from_bits_truncate(self.maker.mode(node.mode, true))).map_err(fail)?;
        if directory.attributes.is_some() {
            let source =
                self.tree.open_dir(&self.from).map_err(|e| failed("open directory", &self.from, e))?;
            self.copy_attributes(source.as_fd(), dir.as_fd())?;
        }
        self.maker.set_time(dir.as_fd(), node.modified).map_err(fail)
    }

    fn copy_attributes(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
        let all = attributes::read(from, self.tree.owners)
            .map_err(|e| failed("read the attributes of", &self.from, e))?;
        for (name, value) in all {
            set_from_archive(to, &name, &value).map_err(|e| failed("set an attribute of", &self.to, e))?;
        }
        Ok(())
    }

    fn owner(&self, node: &Node) -> (u32, u32) {
        match self.tree.owners {
            Owners::Root => (0, 0),
            Owners::Kept => node.owner,
        }
    }

    /// Writes what is no directory into the directory `to`.
    fn leaf(&mut self, to: BorrowedFd<'_>, name: &CStr, node: &Node) -> Result<()> {
        self.done.files += 1;
        self.links.replace(&self.to, name);
        match &node.kind {
            Kind::Directory(_) => Ok(()),
            Kind::File(identity, has_links) => {
                if *has_links && self.link(to, name, identity)? {
                    return Ok(());
                }
                self.file(to, name, node, identity)?;
                if *has_links {
                    self.links.insert(identity, &self.to, name);
                }
                Ok(())
            }
            Kind::Symlink(target) => {
                let target = OsStr::from_bytes(target);
                self.maker.in_free_place(to, name, &self.to, || symlinkat(target, to, name))?;
                self.finish_special(to, name, node)
            }
            Kind::Fifo => {
                let make = || mknodat(to, name, SFlag::S_IFIFO, Mode::S_IRUSR, 0);
                self.maker.in_free_place(to, name, &self.to, make)?;
                self.finish_special(to, name, node)
            }
        }
    }

    /// Gives a symlink or a FIFO its attributes.
    fn finish_special(&self, to: BorrowedFd<'_>, name: &CStr, node: &Node) -> Result<()> {
        let path = || join(&self.to, name.to_bytes());
        if let Some((uid, gid)) = self.maker.owner(self.owner(node)) {
            fchownat(to, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
                .map_err(|e| owner_failed(&path(), e))?;
        }
        let finish = || {
            if matches!(node.kind, Kind::Fifo) {
                let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let held = openat(to, name, flags, Mode::empty())?;
                chmod_held(held.as_fd(), self.maker.mode(node.mode, false))?;
            }
            let time = self.maker.time(node.modified);
            utimensat(to, name, &time, &time, UtimensatFlags::NoFollowSymlink)
        };
        finish().map_err(|e| failed("set the attributes of", &path(), e))
    }

    /// Makes another name for a file that was written before; false if there is none that can have one.
    fn link(&self, to: BorrowedFd<'_>, name: &CStr, identity: &Identity) -> Result<bool> {
        let Some((dir, first)) = self.links.first.get(&(identity.dev, identity.ino)) else {
            return Ok(false);
        };
        let bounds = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let path = if dir.is_empty() { b"." } else { dir.as_slice() };
        let dir = open_within(self.root, OsStr::from_bytes(path), OFlag::O_PATH, bounds)
            .map_err(|e| failed("open directory", dir, e))?;
        let link = || match linkat(&dir, first.as_c_str(), to, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            // It has as many names as it can, or the file system does not allow it.
            Err(Errno::EMLINK | Errno::EPERM | Errno::EXDEV) => Ok(false),
            Err(e) => Err(e),
        };
        self.maker.in_free_place(to, name, &self.to, link)
    }

    fn file(&mut self, to: BorrowedFd<'_>, name: &CStr, node: &Node, identity: &Identity) -> Result<()> {
        let (mut source, status) =
            self.tree.open(&self.from).map_err(|e| unreadable("open", &self.from, e))?;
        let mut target = self.maker.create(to, name, &self.to)?;
        let path = || join(&self.to, name.to_bytes());
        let size = u64::try_from(status.st_size).unwrap_or(0);
        let filled = u64::try_from(status.st_blocks).unwrap_or(0) * BLOCK >= size;
        let copied = if size <= SMALL && filled {
            self.buffer.resize(usize::try_from(SMALL).unwrap_or(0), 0);
            copy_small(&mut source, &mut target, &mut self.buffer)
        } else {
            copy::content(&mut source, &mut target, size).map(|()| size)
        };
        let copied = copied.map_err(|e| io_failed("write", &path(), &e))?;
        self.maker.set_owner(target.as_fd(), self.owner(node)).map_err(|e| owner_failed(&path(), e))?;
        let fail = |e| failed("set the attributes of", &path(), e);
        let mode = self.maker.mode(status.st_mode & 0o7777, false);
        fchmod(&target, Mode::from_bits_truncate(mode)).map_err(fail)?;
        self.copy_attributes(source.as_fd(), target.as_fd())?;
        self.maker.set_time(target.as_fd(), (status.st_mtime, status.st_mtime_nsec)).map_err(fail)?;
        self.done.bytes += copied;
        self.done.changed |= Identity::of(&fstat(&source).map_err(fail)?) != *identity;
        Ok(())
    }
}

/// Whether this name is a directory's.
fn is_directory(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    lstat(dir, name).is_ok_and(|found| found.is_some_and(|status| file_type(&status) == SFlag::S_IFDIR))
}

/// Copies all there is of a file; returns how much that was.
fn copy_small(source: &mut File, target: &mut File, buffer: &mut [u8]) -> io::Result<u64> {
    let mut copied = 0;
    loop {
        match source.read(buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => {
                target.write_all(&buffer[..count])?;
                copied += count as u64;
                if count < buffer.len() {
                    // A regular file gives less than was asked for at its end only.
                    return Ok(copied);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
#[path = "owner_tests.rs"]
mod owner_tests;
#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
