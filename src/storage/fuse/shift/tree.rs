//! Files of the layers by number, as the kernel refers to them.
//!
//! Theory of operation. The kernel asks by number: 1 is the root, a directory whose entries are the layers;
//! every other number was returned in an answer and stays valid until it has been forgotten as often as it was
//! returned. A file is identified by the directory in which it was found and its name there ([`Place`]), and is
//! opened from there when needed. Its number is its inode's, so that hard links are recognised and numbers stay
//! the same when a file is forgotten and found again; layers on other disks get separate numbers.

use crate::container::ids::IdMaps;
use crate::storage::fuse::attributes::listed;
use crate::storage::fuse::numbers::{COUNTED, Disks, Found, ROOT};
use crate::storage::fuse::recent::Recent;
use crate::storage::fuse::{beneath, name_of};
use crate::storage::unpack::{file_type, lstat};
use crate::sys::{dir, xattr};
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::sys::statvfs::{Statvfs, fstatvfs};
use nix::sys::uio::pread;
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Most descriptors of directories, and of files, that are kept open.
pub(super) const OPEN_MAX: usize = 128;
/// Most bytes of directory that are read for one answer.
const LISTING_MAX: usize = 64 << 10;

/// Where a file is.
#[derive(Debug)]
pub(super) enum Place {
    /// The top of a layer.
    Layer(usize),
    /// Under this name in that directory.
    Below(Arc<Place>, CString),
}

#[derive(Debug)]
struct Node {
    place: Arc<Place>,
    /// Device and inode.
    identity: (u64, u64),
    /// How often its number was given away.
    given: u64,
}

/// The layers, and what the kernel knows of them.
#[derive(Debug)]
pub(super) struct Tree {
    layers: Vec<Arc<OwnedFd>>,
    /// The disks they are on.
    disks: Disks,
    ids: IdMaps,
    nodes: HashMap<u64, Node>,
    /// Numbers of inodes that are known and have too large ones of their own.
    counted: HashMap<(u64, u64), u64>,
    next: u64,
    directories: Recent<Arc<Place>>,
    files: Recent<Arc<Place>>,
    buffer: Vec<u8>,
}

impl Tree {
    /// The tree of these directories, of which up to `open` others and as many files are kept open.
    pub(super) fn new(layers: Vec<OwnedFd>, ids: IdMaps, open: usize) -> nix::Result<Tree> {
        let mut disks = Disks::default();
        for layer in &layers {
            disks.add(fstat(layer)?.st_dev);
        }
        Ok(Tree {
            layers: layers.into_iter().map(Arc::new).collect(),
            disks,
            ids,
            nodes: HashMap::new(),
            counted: HashMap::new(),
            next: COUNTED,
            directories: Recent::new(open),
            files: Recent::new(open),
            buffer: Vec::new(),
        })
    }

    /// What has this name in that directory.
    pub(super) fn lookup(&mut self, parent: u64, name: &[u8]) -> nix::Result<Found> {
        let place = if parent == ROOT {
            let number = std::str::from_utf8(name).ok().and_then(|text| text.parse::<usize>().ok());
            let layer = number.filter(|number| *number < self.layers.len());
            Place::Layer(layer.ok_or(Errno::ENOENT)?)
        } else {
            let name = name_of(name)?;
            Place::Below(self.place(parent)?, name)
        };
        let status = self.status(&place)?;
        let identity = (status.st_dev, status.st_ino);
        let number = self.number(identity, true);
        let place = Arc::new(place);
        let node = self.nodes.entry(number).or_insert(Node { place, identity, given: 0 });
        node.given += 1;
        Ok(self.found(number, status))
    }

    /// The kernel gives a number back, as often as this.
    pub(super) fn forget(&mut self, number: u64, times: u64) {
        let Some(node) = self.nodes.get_mut(&number) else { return };
        node.given = node.given.saturating_sub(times);
        if node.given == 0 {
            self.counted.remove(&node.identity);
            self.nodes.remove(&number);
        }
    }

    /// What is known of a file.
    pub(super) fn examine(&mut self, number: u64) -> nix::Result<Found> {
        if number == ROOT {
            let top = self.layers.first().ok_or(Errno::ENOENT)?;
            return Ok(self.found(ROOT, fstat(top)?));
        }
        let place = self.place(number)?;
        let status = self.status(&place)?;
        Ok(self.found(number, status))
    }

    /// Where a symlink leads, in its own words.
    pub(super) fn read_link(&mut self, number: u64) -> nix::Result<OsString> {
        let place = self.place(number)?;
        let Place::Below(parent, name) = &*place else { return Err(Errno::EINVAL) };
        readlinkat(&self.directory(parent)?, name.as_c_str())
    }

    /// Up to `size` bytes of a file.
    pub(super) fn read(&mut self, number: u64, offset: u64, size: u32) -> nix::Result<&[u8]> {
        let offset = i64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let place = self.place(number)?;
        let file = self.file(&place)?;
        let size = size as usize;
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let mut done = 0;
        // The kernel takes a short answer for the end of the file.
        while done < size {
            match pread(&*file, &mut self.buffer[done..size], offset + done as i64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(&self.buffer[..done])
    }

    /// Names in a directory from a place in it on, with numbers and kinds (`DT_DIR` ...), until `take` says
    /// false; `size` is what an answer may hold.
    pub(super) fn list(
        &mut self,
        number: u64,
        from: i64,
        size: usize,
        mut take: impl FnMut(u64, dir::Entry<'_>) -> bool,
    ) -> nix::Result<()> {
        let place = self.place(number)?;
        let directory = self.directory(&place)?;
        let disk = fstat(&directory)?.st_dev;
        let mut buffer = vec![0; size.min(LISTING_MAX)];
        dir::entries(directory.as_fd(), from, &mut buffer, |entry| {
            take(self.number((disk, entry.ino), false), entry)
        })
    }

    /// An extended attribute, of those that are shown.
    pub(super) fn attribute(&mut self, number: u64, name: &CStr) -> nix::Result<Option<Vec<u8>>> {
        if !is_shown(name.to_bytes()) {
            return Ok(None);
        }
        match self.open(number)? {
            Some(file) => xattr::get(file.as_fd(), name),
            None => Ok(None),
        }
    }

    /// The names of all extended attributes that are shown, each ended by a NUL byte.
    pub(super) fn attributes(&mut self, number: u64) -> nix::Result<Vec<u8>> {
        let Some(file) = self.open(number)? else { return Ok(Vec::new()) };
        listed(file.as_fd(), is_shown)
    }

    /// The file system that the first layer is on.
    pub(super) fn file_system(&self) -> nix::Result<Statvfs> {
        fstatvfs(&**self.layers.first().ok_or(Errno::ENOENT)?)
    }

    fn place(&self, number: u64) -> nix::Result<Arc<Place>> {
        // The kernel does not ask about what it has forgotten.
        self.nodes.get(&number).map(|node| node.place.clone()).ok_or(Errno::ESTALE)
    }

    fn status(&mut self, place: &Place) -> nix::Result<FileStat> {
        match place {
            Place::Layer(at) => fstat(self.layers.get(*at).ok_or(Errno::ENOENT)?),
            Place::Below(parent, name) => lstat(self.directory(parent)?.as_fd(), name)?.ok_or(Errno::ENOENT),
        }
    }

    fn found(&self, number: u64, mut status: FileStat) -> Found {
        // The id of nobody at all: the kernel lets no one change what belongs to it.
        const NONE: u32 = u32::MAX;
        let (uid, gid) = self.ids.outside((status.st_uid, status.st_gid));
        (status.st_uid, status.st_gid) = (uid.unwrap_or(NONE), gid.unwrap_or(NONE));
        Found { number, status }
    }

    /// The number of an inode; a new one is remembered when it is `given` away.
    fn number(&mut self, (disk, inode): (u64, u64), given: bool) -> u64 {
        if let Some(number) = self.disks.number((disk, inode)) {
            return number;
        }
        if let Some(number) = self.counted.get(&(disk, inode)) {
            return *number;
        }
        if !given {
            // A listing says what a file's number would be, and nobody holds it to that.
            return inode;
        }
        self.next += 1;
        self.counted.insert((disk, inode), self.next);
        self.next
    }

    fn directory(&mut self, place: &Arc<Place>) -> nix::Result<Arc<OwnedFd>> {
        match &**place {
            Place::Layer(at) => self.layers.get(*at).cloned().ok_or(Errno::ENOENT),
            Place::Below(parent, name) => {
                if let Some(open) = self.directories.get(|of| Arc::ptr_eq(of, place)) {
                    return Ok(open);
                }
                let parent = self.directory(parent)?;
                let open = beneath(&parent, name, OFlag::O_DIRECTORY)?;
                Ok(self.directories.put(place.clone(), open))
            }
        }
    }

    fn file(&mut self, place: &Arc<Place>) -> nix::Result<Arc<OwnedFd>> {
        if let Some(open) = self.files.get(|of| Arc::ptr_eq(of, place)) {
            return Ok(open);
        }
        let Place::Below(parent, name) = &**place else { return Err(Errno::EISDIR) };
        let parent = self.directory(parent)?;
        let open = beneath(&parent, name, OFlag::O_NONBLOCK)?;
        // A host directory may change under our eyes, unlike a layer.
        if file_type(&fstat(&open)?) != SFlag::S_IFREG {
            return Err(Errno::ESTALE);
        }
        Ok(self.files.put(place.clone(), open))
    }

    /// What attributes can be read from: other files than these two kinds are never opened.
    fn open(&mut self, number: u64) -> nix::Result<Option<Arc<OwnedFd>>> {
        if number == ROOT {
            return Ok(None);
        }
        let place = self.place(number)?;
        match file_type(&self.status(&place)?) {
            SFlag::S_IFDIR => self.directory(&place).map(Some),
            SFlag::S_IFREG => self.file(&place).map(Some),
            _ => Ok(None),
        }
    }
}

/// What overlay and programs need: overlay's marks, the image's own attributes, file capabilities.
fn is_shown(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name == b"security.capability"
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
