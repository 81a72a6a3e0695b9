//! Creating and removing names.

use super::lookup::Seen;
use super::tree::{Tree, UPPER, What};
use crate::storage::fuse::beneath;
use crate::storage::fuse::numbers::Found;
use crate::storage::unpack::{chmod_held, lstat};
use crate::storage::{tree, whiteout};
use crate::sys::fd::link_of;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat, mknodat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// What to create.
#[derive(Debug, Clone, Copy)]
pub(super) enum New<'a> {
    Directory,
    /// A regular file, FIFO or socket.
    File(SFlag),
    Symlink(&'a CStr),
}

impl Tree {
    /// Makes something under a name, for a user and group, with these permission bits; its number is given
    /// away.
    pub(super) fn make(
        &mut self,
        (parent, name): (u64, &CStr),
        new: New<'_>,
        mode: u32,
        (uid, mut gid): (u32, u32),
    ) -> nix::Result<Found> {
        if self.find(parent, name)?.is_some() {
            return Err(Errno::EEXIST);
        }
        let to = self.raise_directory(parent)?;
        let above = fstat(&to)?;
        let mut mode = mode & 0o7777;
        // inode(7), "The set-group-ID bit".
        if above.st_mode & libc::S_ISGID != 0 {
            gid = above.st_gid;
            mode |= if matches!(new, New::Directory) { libc::S_ISGID } else { 0 };
        }
        let owner = (uid, gid);
        if lstat(to.as_fd(), name)?.is_none() {
            make_at((&to, name), new, mode, owner)?;
        } else {
            // There is a whiteout, or it would have been found.
            self.make_aside(|tree, made| {
                make_at((&tree.work, made), new, mode, owner)?;
                if !matches!(new, New::Directory) {
                    return renameat(&tree.work, made, &*to, name);
                }
                whiteout::set_opaque(beneath(&tree.work, made, OFlag::O_DIRECTORY)?.as_fd())?;
                tree.exchange(made, (&to, name))?;
                unlinkat(&tree.work, made, UnlinkatFlags::NoRemoveDir)
            })?;
        }
        self.lookup(parent, name)
    }

    /// Puts a directory from the work directory in the place of something else, and that in its place.
    fn exchange(&self, made: &CStr, to: (&OwnedFd, &CStr)) -> nix::Result<()> {
        renameat2(&self.work, made, to.0, to.1, RenameFlags::RENAME_EXCHANGE)
    }

    /// Removes a name of something that is no directory.
    pub(super) fn unlink(&mut self, parent: u64, name: &CStr) -> nix::Result<()> {
        let seen = self.find(parent, name)?.ok_or(Errno::ENOENT)?;
        if seen.is_directory() {
            return Err(Errno::EISDIR);
        }
        let from = self.raise_directory(parent)?;
        let below = self.has_below(parent, name)?;
        let number = self.register(parent, name, &seen)?;
        self.hold(number)?;
        let gone = match below {
            true => self.cover(&from, name),
            false => unlinkat(&*from, name, UnlinkatFlags::NoRemoveDir),
        };
        self.lost((parent, name), number, &seen, gone)
    }

    /// Removes an empty directory.
    pub(super) fn remove_directory(&mut self, parent: u64, name: &CStr) -> nix::Result<()> {
        let seen = self.find(parent, name)?.ok_or(Errno::ENOENT)?;
        if !seen.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let number = self.register(parent, name, &seen)?;
        let empty = self.is_empty(number);
        if empty != Ok(true) {
            self.tidy(number);
            return Err(empty.err().unwrap_or(Errno::ENOTEMPTY));
        }
        let from = self.raise_directory(parent)?;
        self.hold(number)?;
        let gone = self.remove_empty(&from, (parent, name), seen.what.has(UPPER));
        self.lost((parent, name), number, &seen, gone)
    }

    fn remove_empty(
        &mut self,
        from: &Arc<OwnedFd>,
        (parent, name): (u64, &CStr),
        upper: bool,
    ) -> nix::Result<()> {
        if self.has_below(parent, name)? {
            return self.cover(from, name);
        }
        match unlinkat(&**from, name, UnlinkatFlags::RemoveDir) {
            // There are whiteouts in it, of what is no more.
            Err(Errno::ENOTEMPTY | Errno::EEXIST) if upper => self.make_aside(|tree, made| {
                renameat(&**from, name, &tree.work, made)?;
                tree::remove_tree(tree.work.as_fd(), made)
            }),
            other => other,
        }
    }

    /// Covers what lower layers have under a name by a whiteout, in the place of what the upper one has.
    pub(super) fn cover(&mut self, to: &Arc<OwnedFd>, name: &CStr) -> nix::Result<()> {
        self.make_aside(|tree, made| {
            whiteout::make(tree.work.as_fd(), made)?;
            whiteout::admit(tree.work.as_fd(), made, to.as_fd())?;
            match renameat(&tree.work, made, &**to, name) {
                // A directory without anything but whiteouts.
                Err(Errno::EISDIR) => {
                    tree.exchange(made, (to, name))?;
                    // It is out of sight, whatever becomes of it.
                    let _ = tree::remove_tree(tree.work.as_fd(), made);
                    Ok(())
                }
                other => other,
            }
        })
    }

    /// Notes that a file has lost a name, or keeps it where that failed.
    pub(super) fn lost(
        &mut self,
        (parent, name): (u64, &CStr),
        number: u64,
        seen: &Seen,
        gone: nix::Result<()>,
    ) -> nix::Result<()> {
        if let Err(e) = gone {
            self.release(number);
            self.tidy(number);
            return Err(e);
        }
        if seen.is_directory() {
            self.forget_directory(number);
        } else if seen.what == What::File(UPPER) && seen.status.st_nlink == 1 {
            // Its inode may become another file's at any time.
            self.uppers.remove(&(seen.status.st_dev, seen.status.st_ino));
        }
        self.remove_name(&(parent, Arc::from(name)));
        Ok(())
    }

    /// Gives a file another name; its number is returned once more.
    pub(super) fn link(&mut self, number: u64, parent: u64, name: &CStr) -> nix::Result<Found> {
        if matches!(self.node(number)?.what, What::Directory(_)) {
            return Err(Errno::EPERM);
        }
        if self.find(parent, name)?.is_some() {
            return Err(Errno::EEXIST);
        }
        self.raise(number)?;
        let to = self.raise_directory(parent)?;
        let file = self.reach(number)?;
        let held = link_of(&file);
        let link =
            |to: &OwnedFd, name: &CStr| linkat(AT_FDCWD, held.as_str(), to, name, AtFlags::AT_SYMLINK_FOLLOW);
        if lstat(to.as_fd(), name)?.is_none() {
            link(&to, name)?;
        } else {
            self.make_aside(|tree, made| {
                link(&tree.work, made)?;
                renameat(&tree.work, made, &*to, name)
            })?;
        }
        self.lookup(parent, name)
    }
}

impl What {
    /// Whether a layer contributes to it.
    pub(super) fn has(&self, layer: usize) -> bool {
        match self {
            What::Directory(layers) => layers.contains(&layer),
            What::File(of) => *of == layer,
        }
    }
}

/// Makes something under a name that is free; what a failure leaves is removed.
fn make_at(
    (to, name): (&OwnedFd, &CStr),
    new: New<'_>,
    mode: u32,
    (uid, gid): (u32, u32),
) -> nix::Result<()> {
    let bits = Mode::from_bits_truncate(mode);
    match new {
        New::Directory => mkdirat(to, name, bits)?,
        New::Symlink(target) => symlinkat(target, to, name)?,
        New::File(kind) => mknodat(to, name, kind, bits, 0)?,
    }
    let finish = || {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        fchownat(to, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        // Making it and giving it away drop them.
        if mode & (libc::S_ISUID | libc::S_ISGID) != 0 && !matches!(new, New::Symlink(_)) {
            let held = openat(to, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
            chmod_held(held.as_fd(), mode)?;
        }
        Ok(())
    };
    finish().inspect_err(|_| {
        let flag = match new {
            New::Directory => UnlinkatFlags::RemoveDir,
            _ => UnlinkatFlags::NoRemoveDir,
        };
        let _ = unlinkat(to, name, flag);
    })
}
