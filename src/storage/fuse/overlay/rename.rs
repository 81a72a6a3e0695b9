//! Renaming.

use super::lookup::Seen;
use super::tree::{Tree, UPPER, What};
use crate::storage::fuse::beneath;
use crate::storage::unpack::lstat;
use crate::storage::{tree, whiteout};
use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, renameat, renameat2};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// One end of a renaming.
struct End<'a> {
    parent: u64,
    name: &'a CStr,
    /// The directory in the upper layer.
    directory: Arc<OwnedFd>,
    /// Lower layers have something under this name.
    below: bool,
}

impl Tree {
    /// Renames `from` to `to`, each a directory and a name in it (rename(2)).
    pub(super) fn rename(
        &mut self,
        from: (u64, &CStr),
        to: (u64, &CStr),
        flags: RenameFlags,
    ) -> nix::Result<()> {
        let exchange = flags == RenameFlags::RENAME_EXCHANGE;
        if !exchange && !flags.is_empty() && flags != RenameFlags::RENAME_NOREPLACE {
            return Err(Errno::EINVAL);
        }
        let source = self.find(from.0, from.1)?.ok_or(Errno::ENOENT)?;
        let target = self.find(to.0, to.1)?;
        match &target {
            Some(_) if flags == RenameFlags::RENAME_NOREPLACE => return Err(Errno::EEXIST),
            None if exchange => return Err(Errno::ENOENT),
            Some(target) if !exchange && target.is_directory() != source.is_directory() => {
                return Err(if target.is_directory() { Errno::EISDIR } else { Errno::ENOTDIR });
            }
            _ => {}
        }
        // What lower layers have in it would stay behind.
        let stays = |seen: &Seen| seen.is_directory() && !seen.is_new();
        if stays(&source) || exchange && target.as_ref().is_some_and(stays) {
            return Err(Errno::EXDEV);
        }
        let moved = self.register(from.0, from.1, &source)?;
        let replaced = match &target {
            Some(seen) => Some((self.register(to.0, to.1, seen)?, seen)),
            None => None,
        };
        if replaced.is_some_and(|(number, _)| number == moved) {
            return Ok(());
        }
        self.raise(moved)?;
        let from = self.end(from)?;
        let to = self.end(to)?;
        match replaced {
            Some((other, _)) if exchange => self.swap((moved, &from), (other, &to)),
            _ => self.replace((moved, &source, &from), replaced, &to),
        }
    }

    fn end<'a>(&mut self, (parent, name): (u64, &'a CStr)) -> nix::Result<End<'a>> {
        let directory = self.raise_directory(parent)?;
        let below = self.has_below(parent, name)?;
        Ok(End { parent, name, directory, below })
    }

    /// A directory renamed to a name that lower layers also have must not be merged with theirs.
    fn hide_below(&self, at: &End<'_>, under: &End<'_>) -> nix::Result<()> {
        match beneath(&at.directory, at.name, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Ok(directory) if under.below => whiteout::set_opaque(directory.as_fd()),
            Ok(_) | Err(Errno::ENOTDIR | Errno::ELOOP) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn swap(&mut self, (one, from): (u64, &End<'_>), (other, to): (u64, &End<'_>)) -> nix::Result<()> {
        self.raise(other)?;
        self.hide_below(from, to)?;
        self.hide_below(to, from)?;
        renameat2(&*from.directory, from.name, &*to.directory, to.name, RenameFlags::RENAME_EXCHANGE)?;
        // In between both have one name at least, and so do their directories.
        self.take_name(from, one);
        self.take_name(to, other);
        self.add_name(one, (to.parent, Arc::from(to.name)))?;
        self.add_name(other, (from.parent, Arc::from(from.name)))
    }

    fn replace(
        &mut self,
        (moved, source, from): (u64, &Seen, &End<'_>),
        replaced: Option<(u64, &Seen)>,
        to: &End<'_>,
    ) -> nix::Result<()> {
        if let Some((other, seen)) = replaced
            && seen.is_directory()
        {
            if !self.is_empty(other)? {
                return Err(Errno::ENOTEMPTY);
            }
            self.clear(other, to)?;
        }
        if source.is_directory() {
            self.hide_below(from, to)?;
        }
        if let Some((other, _)) = replaced {
            self.hold(other)?;
        }
        let done = self.move_upper(source.is_directory(), from, to);
        match replaced {
            Some((other, seen)) => self.lost((to.parent, to.name), other, seen, done)?,
            None => done?,
        }
        self.take_name(from, moved);
        self.add_name(moved, (to.parent, Arc::from(to.name)))
    }

    /// Takes a name from a file that is to get another at once.
    fn take_name(&mut self, end: &End<'_>, number: u64) {
        // The number is in use until then.
        if let Some(node) = self.nodes.get_mut(&number) {
            node.given += 1;
        }
        self.remove_name(&(end.parent, Arc::from(end.name)));
        if let Some(node) = self.nodes.get_mut(&number) {
            node.given -= 1;
        }
    }

    /// Removes the whiteouts from an empty directory of the upper layer, if it is there, so that another one
    /// can be renamed over it.
    fn clear(&mut self, number: u64, at: &End<'_>) -> nix::Result<()> {
        let directory = match beneath(&at.directory, at.name, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Err(Errno::ENOENT) => return Ok(()),
            other => other?,
        };
        let names = tree::names(directory.as_fd())?;
        if names.is_empty() {
            return Ok(());
        }
        if at.below {
            whiteout::set_opaque(directory.as_fd())?;
            // Should the renaming fail, it is to stay empty.
            self.node_mut(number)?.what = What::Directory(vec![UPPER]);
        }
        for name in names {
            unlinkat(&directory, name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
        }
        Ok(())
    }

    /// Renames in the upper layer, and leaves a whiteout behind where lower layers have the name too.
    fn move_upper(&mut self, directory: bool, from: &End<'_>, to: &End<'_>) -> nix::Result<()> {
        let rename = |flags| renameat2(&*from.directory, from.name, &*to.directory, to.name, flags);
        let there = lstat(to.directory.as_fd(), to.name)?;
        let whiteout = match &there {
            Some(status) => whiteout::is_at(to.directory.as_fd(), to.name, status)?,
            None => false,
        };
        if directory && whiteout {
            // Where it was the other whiteout is now, which is right if one is needed.
            rename(RenameFlags::RENAME_EXCHANGE)?;
            return match from.below {
                true => whiteout::admit(from.directory.as_fd(), from.name, from.directory.as_fd()),
                false => unlinkat(&*from.directory, from.name, UnlinkatFlags::NoRemoveDir),
            };
        }
        if !from.below {
            return rename(RenameFlags::empty());
        }
        match rename(RenameFlags::RENAME_WHITEOUT) {
            // Not everywhere.
            Err(Errno::EINVAL | Errno::EPERM | Errno::ENOSYS) => {
                renameat(&*from.directory, from.name, &*to.directory, to.name)?;
                self.cover(&from.directory, from.name)
            }
            other => other,
        }
    }
}
