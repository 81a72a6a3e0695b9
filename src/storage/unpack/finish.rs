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

mod view;

use super::Notes;
use super::tree::{DIRECTORY, Tree, c_name, failed, file_type, join, lstat, resolve, shown};
use crate::error::{Error, Kind, Result};
use crate::storage::layers::open_dir;
use crate::storage::{copy, trash, whiteout};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use view::{Found, View};

/// A layer below the one being completed.
#[derive(Debug)]
pub(in crate::storage) struct Lower {
    root: OwnedFd,
    home: PathBuf,
    owners: OnceCell<HashMap<Vec<u8>, (u32, u32)>>,
}

impl Lower {
    /// Opens the layer in this directory of the store.
    pub(in crate::storage) fn open(home: &Path) -> Result<Self> {
        Ok(Lower { root: open_dir(&home.join("fs"))?, home: home.to_owned(), owners: OnceCell::new() })
    }

    /// The intended owner of a path, if one is recorded.
    fn owner(&self, path: &[u8]) -> Option<(u32, u32)> {
        let read = || super::owners::read(&self.home.join("owners"));
        self.owners.get_or_init(read).get(path).copied()
    }
}

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
                Some(Found::Directory(below)) => {
                    let Some((layer, nearest)) = below.first() else { continue };
                    copy::attributes(nearest.as_fd(), own.as_fd())
                        .map_err(|e| failed("set the attributes of", &path, e))?;
                    if let Some((uid, gid)) = layer.and_then(|l| self.below[l].owner(&path)) {
                        self.notes.owners.note(&path, uid, gid);
                    }
                }
                Some(Found::Symlink) => {
                    if let Some(target) = self.destination(&path)? {
                        self.relocate(&path, &target, &mut todo)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What the lower layers have at this path, unless one of our own directories above it hides them.
    fn counterpart(&self, path: &[u8]) -> Result<Option<Found<'a>>> {
        let mut view = self.lower_view()?;
        if path.is_empty() {
            return Ok(Some(view.here()));
        }
        let parts: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
        let fail = |e| failed("look up", path, e);
        for (depth, part) in parts.iter().enumerate() {
            let above = parts[..depth].join(&b'/');
            let own = resolve(self.root, &above, DIRECTORY).map_err(fail)?;
            if whiteout::is_opaque(own.as_fd()).map_err(fail)? {
                return Ok(None);
            }
            let found = view.child(part)?;
            if depth + 1 == parts.len() {
                let own = resolve(self.root, path, DIRECTORY).map_err(fail)?;
                let hidden = whiteout::is_opaque(own.as_fd()).map_err(fail)?;
                return Ok(if hidden { None } else { found });
            }
            match found {
                Some(Found::Directory(dirs)) => view = View::of(dirs),
                _ => return Ok(None),
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

    /// Makes a hard link whose target is below; gives the directories it implied.
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
        if lstat(to.as_fd(), &name).map_err(fail)?.is_none_or(|s| whiteout::is(&s)) {
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

/// A path's directory and last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Changes what is in a directory but not its times.
fn keep_times(dir: BorrowedFd<'_>, change: impl FnOnce() -> nix::Result<()>) -> nix::Result<()> {
    let before = fstat(dir)?;
    change()?;
    let accessed = TimeSpec::new(before.st_atime, before.st_atime_nsec);
    futimens(dir, &accessed, &TimeSpec::new(before.st_mtime, before.st_mtime_nsec))
}

/// Moves everything from one directory to another; directories that both have are merged, of other
/// pairs the moved one stays.
fn merge(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> nix::Result<()> {
    for name in trash::names(from)? {
        let is_dir = |dir| Ok(lstat(dir, &name)?.is_some_and(|s| file_type(&s) == SFlag::S_IFDIR));
        if is_dir(from)? && is_dir(to)? {
            let below = openat(from, name.as_c_str(), DIRECTORY, Mode::empty())?;
            let target = openat(to, name.as_c_str(), DIRECTORY, Mode::empty())?;
            merge(below.as_fd(), target.as_fd())?;
            unlinkat(from, name.as_c_str(), UnlinkatFlags::RemoveDir)?;
            continue;
        }
        trash::remove_tree(to, &name)?;
        renameat(from, name.as_c_str(), to, name.as_c_str())?;
    }
    Ok(())
}
