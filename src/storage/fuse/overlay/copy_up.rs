//! Copying files to the upper layer before they are changed.

use super::tree::{Named, Tree, UPPER, What};
use crate::storage::fuse::beneath;
use crate::storage::unpack::{DIRECTORY, chmod_held, file_type, lstat};
use crate::storage::{copy, tree};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, futimens, mkdirat, mknodat};
use nix::unistd::{Gid, Uid, fchown, fchownat, fdatasync};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

impl Tree {
    /// Sees to it that a file is in the upper layer.
    pub(super) fn raise(&mut self, number: u64) -> nix::Result<()> {
        match self.node(number)?.what {
            // Deleted while it was in a lower layer: there is no place for a copy.
            What::Directory(ref layers) if self.node(number)?.held.is_some() => {
                if layers.first() == Some(&UPPER) { Ok(()) } else { Err(Errno::EROFS) }
            }
            What::Directory(_) => self.raise_directory(number).map(drop),
            What::File(UPPER) => Ok(()),
            What::File(_) => self.raise_file(number),
        }
    }

    /// Sees to it that a directory is in the upper layer, and returns it.
    pub(super) fn raise_directory(&mut self, number: u64) -> nix::Result<Arc<OwnedFd>> {
        let mut lower = Vec::new();
        let mut at = number;
        while !self.layers_of(at)?.contains(&UPPER) {
            lower.push(at);
            at = self.node(at)?.names.last().ok_or(Errno::ENOENT)?.0;
        }
        while let Some(next) = lower.pop() {
            self.raise_one_directory(next)?;
        }
        self.directory(number, UPPER)
    }

    fn raise_one_directory(&mut self, number: u64) -> nix::Result<()> {
        let (parent, name) = self.node(number)?.names.last().cloned().ok_or(Errno::ENOENT)?;
        let from = self.reach(number)?;
        let to = self.directory(parent, UPPER)?;
        self.make_aside(|tree, made| {
            mkdirat(&tree.work, made, Mode::S_IRWXU)?;
            let copy = openat(&tree.work, made, DIRECTORY, Mode::empty())?;
            match openat(&*from, c".", DIRECTORY, Mode::empty()) {
                Ok(source) => copy::attributes(source.as_fd(), copy.as_fd())?,
                // Its own attributes are closed to us, what everybody sees of it is not.
                Err(Errno::EACCES) => {
                    let status = fstat(&from)?;
                    fchown(&copy, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))?;
                    fchmod(&copy, Mode::from_bits_truncate(status.st_mode & 0o7777))?;
                    set_times(&copy, &status)?;
                }
                Err(e) => return Err(e),
            }
            tree.move_quietly(made, (&to, &name))
        })?;
        if let What::Directory(layers) = &mut self.node_mut(number)?.what {
            layers.insert(0, UPPER);
        }
        Ok(())
    }

    fn raise_file(&mut self, number: u64) -> nix::Result<()> {
        let node = self.node(number)?;
        let (What::File(layer), Some(named)) = (&node.what, node.names.last().cloned()) else {
            // As above.
            return Err(Errno::EROFS);
        };
        let layer = *layer;
        let (parent, name): Named = named;
        let to = self.raise_directory(parent)?;
        let from = self.directory(parent, layer)?;
        let before = lstat(from.as_fd(), &name)?.ok_or(Errno::ESTALE)?;
        let status = self.make_aside(|tree, made| {
            if !copy::node((from.as_fd(), &name), (tree.work.as_fd(), made), &before)? {
                socket(tree.work.as_fd(), made, &before)?;
            }
            if !tree.volatile && file_type(&before) == SFlag::S_IFREG {
                fdatasync(beneath(&tree.work, made, OFlag::O_RDONLY)?)?;
            }
            let status = lstat(tree.work.as_fd(), made)?.ok_or(Errno::ENOENT)?;
            tree.move_quietly(made, (&to, &name))?;
            Ok(status)
        })?;
        let identity = (status.st_dev, status.st_ino);
        let shown = self.disks.number(identity);
        let node = self.node_mut(number)?;
        node.what = What::File(UPPER);
        node.identity = identity;
        if node.shown.is_some() {
            // No longer the one that other names in the lower layer stand for.
            node.shown = shown;
        }
        let content = node.content.upgrade();
        self.uppers.insert(identity, number);
        if let Some(content) = content {
            content.becomes(self.open_file(number, OFlag::O_RDWR)?, true);
        }
        Ok(())
    }

    /// Makes something in the work directory; what a failure leaves there is removed.
    pub(super) fn make_aside<T>(
        &mut self,
        make: impl FnOnce(&mut Tree, &CStr) -> nix::Result<T>,
    ) -> nix::Result<T> {
        let made = self.fresh_name();
        make(self, &made).inspect_err(|_| {
            let _ = tree::remove_tree(self.work.as_fd(), &made);
        })
    }

    /// Moves a copy to its place. For whoever looks at the directory nothing has changed by that.
    fn move_quietly(&self, made: &CStr, to: (&OwnedFd, &CStr)) -> nix::Result<()> {
        let before = fstat(to.0)?;
        renameat(&self.work, made, to.0, to.1)?;
        // A directory that may not be opened keeps the new time.
        if let Ok(directory) = openat(to.0, c".", DIRECTORY, Mode::empty()) {
            let _ = set_times(&directory, &before);
        }
        Ok(())
    }
}

fn set_times(file: &OwnedFd, status: &FileStat) -> nix::Result<()> {
    let (accessed, modified) = copy::times(status);
    futimens(file, &accessed, &modified)
}

/// Makes a socket like another. Devices are not made (`EPERM`).
fn socket(work: std::os::fd::BorrowedFd<'_>, made: &CStr, status: &FileStat) -> nix::Result<()> {
    if file_type(status) != SFlag::S_IFSOCK {
        return Err(Errno::EPERM);
    }
    mknodat(work, made, SFlag::S_IFSOCK, Mode::S_IRUSR, 0)?;
    let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    fchownat(work, made, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let held = openat(work, made, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    chmod_held(held.as_fd(), status.st_mode & 0o7777)?;
    let (accessed, modified) = copy::times(status);
    nix::sys::stat::utimensat(
        work,
        made,
        &accessed,
        &modified,
        nix::sys::stat::UtimensatFlags::NoFollowSymlink,
    )
}
