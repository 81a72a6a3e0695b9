//! Completing a layer from those below it.
//!
//! Theory of operation. A layer is unpacked without its lower layers, so three things stay open, and are
//! settled here in the order of the stack:
//!
//! - A directory that the archive only implied (`usr/bin/tool` without `usr/bin/`) would show its own
//!   owner and mode through overlay; it gets those of the nearest lower directory.
//! - If the lower layers have a symlink there (`lib -> usr/lib`), a real directory would hide it; what is
//!   in it moves to where the symlink leads.
//! - A hard link whose target is in a lower layer: overlay links only within one layer, so the target is
//!   copied up and linked.

mod lower;
mod view;

pub(in crate::storage) use lower::Lower;
pub(in crate::storage) use view::{Found, View};

use super::notes::Notes;
use super::tree::{DIRECTORY, Tree, c_name, failed, file_type, join, lstat, resolve, shown};
use crate::error::{Error, Kind, Result};
use crate::storage::tree::keep_times;
use crate::storage::{copy, tree, whiteout};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, openat, renameat};
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Completes the layer in `root`; `below` is bottom first.
pub(in crate::storage) fn complete(root: &OwnedFd, notes: &mut Notes, below: &[Lower]) -> Result<()> {
    let mut work = Work { root: root.as_fd(), below, notes };
    let implied = std::mem::take(&mut work.notes.implied);
    work.directories(implied)?;
    let mut made = BTreeSet::new();
    for (path, target) in std::mem::take(&mut work.notes.unresolved) {
        made.append(&mut work.hard_link(&path, &target)?);
    }
    work.directories(made)
}

struct Work<'a> {
    root: BorrowedFd<'a>,
    below: &'a [Lower],
    notes: &'a mut Notes,
}

impl<'a> Work<'a> {
    /// The layers below, without this one.
    fn lower_view(&self) -> Result<View<'a>> {
        View::new(None, self.below)
    }

    /// This layer on top of those below.
    fn whole_view(&self) -> Result<View<'a>> {
        View::new(Some(self.root), self.below)
    }

    /// Completes implied directories, parents before children.
    fn directories(&mut self, mut todo: BTreeSet<Vec<u8>>) -> Result<()> {
        if self.below.is_empty() {
            return Ok(());
        }
        while let Some(path) = todo.pop_first() {
            let Ok(own) = resolve(self.root, &path, DIRECTORY) else {
                // Replaced by a later entry of the same archive.
                continue;
            };
            match self.counterpart(&path)? {
                Some(Counterpart::Directory(layer, nearest)) => {
                    copy::attributes(nearest.as_fd(), own.as_fd())
                        .map_err(|e| failed("set the attributes of", &path, e))?;
                    if let Some((uid, gid)) = self.below[layer].owner(&path) {
                        self.notes.owners.note(&path, uid, gid);
                    }
                }
                Some(Counterpart::Symlink) => {
                    if let Some(target) = self.destination(&path)? {
                        self.relocate(&path, &target, &mut todo)?;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// What overlay would show at this path without this layer, unless one of this layer's own
    /// directories hides it. Looks into one layer after the other, nearest first, and mostly ends with
    /// the first: tall stacks with deep paths are common.
    fn counterpart(&self, path: &[u8]) -> Result<Option<Counterpart>> {
        let fail = |e| failed("look up", path, e);
        if hides(self.root, path).map_err(fail)? {
            return Ok(None);
        }
        for (layer, lower) in self.below.iter().enumerate().rev() {
            match probe(lower.root.as_fd(), path).map_err(fail)? {
                Probe::Directory(dir) => return Ok(Some(Counterpart::Directory(layer, dir))),
                Probe::Symlink => return Ok(Some(Counterpart::Symlink)),
                Probe::Hidden => return Ok(None),
                Probe::Nothing => {}
            }
        }
        Ok(None)
    }

    /// Where a lower symlink at this path leads: a directory's path without symlinks, or `None`.
    fn destination(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let target = self.lower_view()?.canonical(path)?;
        let inside = |t: &Vec<u8>| t == path || t.starts_with(&join(path, b""));
        Ok(target.filter(|t| !inside(t)))
    }

    /// Moves what is in the directory `path` to `target`, and corrects what is still to be done.
    fn relocate(&mut self, path: &[u8], target: &[u8], todo: &mut BTreeSet<Vec<u8>>) -> Result<()> {
        let mut tree = Tree::new(self.root);
        let to = tree.parent(target)?;
        let to = openat(to.as_fd(), ".", DIRECTORY, Mode::empty()).map_err(|e| failed("open", target, e))?;
        let from = resolve(self.root, path, DIRECTORY).map_err(|e| failed("open", path, e))?;
        let (dir, name) = split(path);
        let parent = resolve(self.root, dir, DIRECTORY).map_err(|e| failed("open", dir, e))?;
        let name = c_name(name)?;
        // The times that the archive gave to both directories stay.
        keep_times(to.as_fd(), || merge(from.as_fd(), to.as_fd())).map_err(|e| failed("move", path, e))?;
        drop(from);
        keep_times(parent.as_fd(), || unlinkat(&parent, name.as_c_str(), UnlinkatFlags::RemoveDir))
            .map_err(|e| failed("remove", path, e))?;
        let below = join(path, b"");
        let moved = |p: &Vec<u8>| p.strip_prefix(below.as_slice()).map(|rest| join(target, rest));
        let corrected: Vec<(Vec<u8>, Vec<u8>)> =
            todo.iter().filter_map(|p| moved(p).map(|new| (p.clone(), new))).collect();
        for (old, new) in corrected {
            todo.remove(&old);
            todo.insert(new);
        }
        todo.append(&mut tree.implied);
        for (link, _) in &mut self.notes.unresolved {
            if let Some(new) = moved(link) {
                *link = new;
            }
        }
        self.notes.owners.moved(&below, target);
        Ok(())
    }

    /// Makes a hard link whose target is below; returns the directories it implied.
    fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<BTreeSet<Vec<u8>>> {
        let lost = || {
            Error::new(
                Kind::Image,
                format!("hard link {} to {}, which no layer has", shown(path), shown(target)),
            )
        };
        let view = self.whole_view()?;
        let (dir, name) = split(target);
        let real_dir = view.canonical(dir)?.ok_or_else(lost)?;
        let name = c_name(name)?;
        let fail = |e| failed("link to", target, e);
        let Some(Found::Directory(dirs)) = view.walk(&real_dir)? else { return Err(lost()) };
        let source = View::of(dirs).file(&name)?.ok_or_else(lost)?;
        let mut tree = Tree::new(self.root);
        let to = tree.parent(&real_dir)?;
        let free = match lstat(to.as_fd(), &name).map_err(fail)? {
            Some(status) => whiteout::is_at(to.as_fd(), &name, &status).map_err(fail)?,
            None => true,
        };
        if free {
            tree.clear(to.as_fd(), &name).map_err(fail)?;
            let from = (source.dir.as_fd(), name.as_c_str());
            if !copy::node(from, (to.as_fd(), &name), &source.status).map_err(fail)? {
                return Err(lost());
            }
        }
        let real_target = join(&real_dir, name.to_bytes());
        if let Some((uid, gid)) = source.layer.and_then(|l| self.below[l].owner(&real_target)) {
            self.notes.owners.note(&real_target, uid, gid);
        }
        let (dir, own_name) = split(path);
        let here = tree.parent(dir)?;
        match linkat(
            to.as_fd(),
            name.as_c_str(),
            here.as_fd(),
            c_name(own_name)?.as_c_str(),
            AtFlags::empty(),
        ) {
            // A later entry of the archive has the name now.
            Ok(()) | Err(Errno::EEXIST) => Ok(tree.implied),
            Err(e) => Err(fail(e)),
        }
    }
}

/// What the layers below have where this layer has a directory.
enum Counterpart {
    /// A directory; the nearest part of it, and the position of its layer.
    Directory(usize, OwnedFd),
    Symlink,
}

/// What one layer has at a path.
enum Probe {
    Directory(OwnedFd),
    Symlink,
    /// Something that ends the search: layers further down are hidden here.
    Hidden,
    /// Nothing; layers further down may have it.
    Nothing,
}

/// Looks a path up in one layer, following nothing.
fn probe(root: BorrowedFd<'_>, path: &[u8]) -> nix::Result<Probe> {
    let mut here = openat(root, ".", DIRECTORY, Mode::empty())?;
    let mut opaque = whiteout::is_opaque(here.as_fd())?;
    let mut parts = path.split(|b| *b == b'/').filter(|p| !p.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let name = CString::new(part).map_err(|_| Errno::EINVAL)?;
        let Some(status) = lstat(here.as_fd(), &name)? else {
            return Ok(if opaque { Probe::Hidden } else { Probe::Nothing });
        };
        match file_type(&status) {
            SFlag::S_IFDIR => here = openat(here.as_fd(), name.as_c_str(), DIRECTORY, Mode::empty())?,
            SFlag::S_IFLNK if parts.peek().is_none() => return Ok(Probe::Symlink),
            _ => return Ok(Probe::Hidden),
        }
        opaque |= whiteout::is_opaque(here.as_fd())?;
    }
    Ok(Probe::Directory(here))
}

/// Whether the directory at this path, or one above it, is opaque.
fn hides(root: BorrowedFd<'_>, path: &[u8]) -> nix::Result<bool> {
    let mut here = openat(root, ".", DIRECTORY, Mode::empty())?;
    let mut opaque = !path.is_empty() && whiteout::is_opaque(here.as_fd())?;
    for part in path.split(|b| *b == b'/').filter(|p| !p.is_empty()) {
        let name = CString::new(part).map_err(|_| Errno::EINVAL)?;
        here = openat(here.as_fd(), name.as_c_str(), DIRECTORY, Mode::empty())?;
        opaque |= whiteout::is_opaque(here.as_fd())?;
    }
    Ok(opaque)
}

/// A path's directory and last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Moves everything from one directory to another; directories that both have are merged, of other
/// pairs the moved one stays.
fn merge(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> nix::Result<()> {
    for name in tree::names(from)? {
        let is_dir = |dir| Ok(lstat(dir, &name)?.is_some_and(|s| file_type(&s) == SFlag::S_IFDIR));
        if is_dir(from)? && is_dir(to)? {
            let below = openat(from, name.as_c_str(), DIRECTORY, Mode::empty())?;
            let target = openat(to, name.as_c_str(), DIRECTORY, Mode::empty())?;
            merge(below.as_fd(), target.as_fd())?;
            unlinkat(from, name.as_c_str(), UnlinkatFlags::RemoveDir)?;
            continue;
        }
        tree::remove_tree(to, &name)?;
        renameat(from, name.as_c_str(), to, name.as_c_str())?;
    }
    Ok(())
}
