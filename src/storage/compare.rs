//! The differences between two stacks of directories: a container and its image, or any two.
//!
//! Theory of operation. A stack represents what overlay would show: directories, topmost first, with whiteouts
//! and opaque markers. Both stacks are walked in parallel by descriptors. A directory to which both stacks
//! contribute the very same directories is identical in both, and is skipped, so the cost of comparing a
//! container with its own image depends only on what the container has written. Two files are the same if they
//! are the same inode, or have the same type, owner, mode, size and time.

use super::unpack::{DIRECTORY, file_type, lstat};
use super::{record, tree, whiteout};
use crate::container::ids::IdMaps;
use crate::error::{Error, Kind, Result};
use nix::errno::Errno;
use nix::fcntl::openat;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

/// Deepest directory that is looked into; each level holds a descriptor for each part of both stacks.
const DEPTH: usize = 256;

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It is new.
    Added,
    /// It is another, or something below it differs.
    Changed,
    /// It is gone.
    Deleted,
}

/// A directory of a stack.
#[derive(Debug)]
pub struct Dir<'a> {
    fd: OwnedFd,
    /// The ids of the container that has written it.
    ids: Option<&'a IdMaps>,
}

impl<'a> Dir<'a> {
    /// One whose owners are as they are.
    pub fn plain(fd: OwnedFd) -> Dir<'a> {
        Dir { fd, ids: None }
    }

    /// One that a container with these ids has written.
    pub fn of_container(fd: OwnedFd, ids: &'a IdMaps) -> Dir<'a> {
        Dir { fd, ids: Some(ids) }
    }

    /// What has this name, with the owner it has inside.
    fn status(&self, name: &CStr) -> nix::Result<Option<FileStat>> {
        let Some(mut status) = lstat(self.fd.as_fd(), name)? else { return Ok(None) };
        if let Some(ids) = self.ids {
            let (uid, gid) = ids.inside((status.st_uid, status.st_gid));
            (status.st_uid, status.st_gid) = (uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX));
        }
        Ok(Some(status))
    }
}

/// Told of each path that differs, absolute, parents first.
type Report<'a> = dyn FnMut(Change, &[u8]) + 'a;

/// Compares two stacks of directories, each with its top first.
///
/// # Errors
/// When a directory cannot be read.
pub fn compare(base: &[Dir<'_>], now: &[Dir<'_>], report: &mut Report<'_>) -> Result<()> {
    let mut found = Vec::new();
    // Where it failed is what the path says then.
    let mut path = Vec::new();
    level(base, now, &mut path, 0, &mut found).map_err(|errno| {
        let shown = if path.is_empty() { "/".into() } else { String::from_utf8_lossy(&path) };
        let error = Error::new(Kind::Storage, format!("compare {}", shown.escape_debug()));
        let error = error.caused_by(record::cause(errno));
        match record::hint(Some(errno)) {
            Some(hint) if matches!(errno, Errno::EMFILE | Errno::EAGAIN) => error.hint(hint),
            _ => error,
        }
    })?;
    for (change, path) in found {
        report(change, &path);
    }
    Ok(())
}

/// What a stack has under a name: its status, and the directories when it is one.
struct Found<'a> {
    status: FileStat,
    dirs: Vec<Dir<'a>>,
}

fn look<'a>(stack: &[Dir<'a>], name: &CStr) -> nix::Result<Option<Found<'a>>> {
    let mut found: Option<Found<'a>> = None;
    for dir in stack {
        let Some(status) = dir.status(name)? else { continue };
        let directory = file_type(&status) == SFlag::S_IFDIR;
        if (found.is_some() && !directory) || whiteout::is_at(dir.fd.as_fd(), name, &status)? {
            break;
        }
        if !directory {
            return Ok(Some(Found { status, dirs: Vec::new() }));
        }
        let open = match openat(&dir.fd, name, DIRECTORY, Mode::empty()) {
            // Replaced under our eyes.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => continue,
            other => other?,
        };
        let opaque = whiteout::is_opaque(open.as_fd())?;
        found.get_or_insert(Found { status, dirs: Vec::new() }).dirs.push(Dir { fd: open, ids: dir.ids });
        if opaque {
            break;
        }
    }
    Ok(found)
}

fn same_directories(a: &[Dir<'_>], b: &[Dir<'_>]) -> nix::Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (fstat(&a.fd)?, fstat(&b.fd)?);
        if (a.st_dev, a.st_ino) != (b.st_dev, b.st_ino) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn names(stack: &[Dir<'_>], all: &mut BTreeSet<CString>) -> nix::Result<()> {
    for dir in stack {
        all.extend(tree::names(dir.fd.as_fd())?);
    }
    Ok(())
}

/// Compares one directory; whether anything below differs.
fn level(
    base: &[Dir<'_>],
    now: &[Dir<'_>],
    path: &mut Vec<u8>,
    depth: usize,
    found: &mut Vec<(Change, Vec<u8>)>,
) -> nix::Result<bool> {
    if same_directories(base, now)? || depth > DEPTH {
        return Ok(false);
    }
    let mut all = BTreeSet::new();
    names(base, &mut all)?;
    names(now, &mut all)?;
    let before = found.len();
    for name in all {
        let length = path.len();
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        entry(look(base, &name)?, look(now, &name)?, path, depth, found)?;
        path.truncate(length);
    }
    Ok(found.len() > before)
}

fn entry(
    base: Option<Found<'_>>,
    now: Option<Found<'_>>,
    path: &mut Vec<u8>,
    depth: usize,
    found: &mut Vec<(Change, Vec<u8>)>,
) -> nix::Result<()> {
    let at = found.len();
    match (base, now) {
        (None, None) => {}
        (Some(_), None) => found.push((Change::Deleted, path.clone())),
        (None, Some(now)) => {
            found.push((Change::Added, path.clone()));
            level(&[], &now.dirs, path, depth + 1, found)?;
        }
        (Some(base), Some(now)) => {
            let below = level(&base.dirs, &now.dirs, path, depth + 1, found)?;
            if below || differ(&base.status, &now.status) {
                found.insert(at, (Change::Changed, path.clone()));
            }
        }
    }
    Ok(())
}

fn differ(a: &FileStat, b: &FileStat) -> bool {
    if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) {
        return false;
    }
    let kept = |s: &FileStat| (s.st_mode, s.st_uid, s.st_gid, s.st_rdev, s.st_mtime, s.st_mtime_nsec);
    // A directory's size says how many names it ever had.
    kept(a) != kept(b) || (file_type(a) != SFlag::S_IFDIR && a.st_size != b.st_size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn changes(base: &[&Path], now: &[&Path]) -> Vec<String> {
        let open = |dirs: &[&Path]| {
            dirs.iter().map(|d| Dir::plain(fs::File::open(d).unwrap().into())).collect::<Vec<_>>()
        };
        let mut list = Vec::new();
        compare(&open(base), &open(now), &mut |change, path| {
            list.push(format!("{change:?} {}", String::from_utf8_lossy(path)));
        })
        .unwrap();
        list
    }

    #[test]
    fn stacks_are_compared_as_overlay_would_show_them() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["low/etc", "low/old/deep", "low/same/x", "mid/etc", "up/etc", "up/new/sub", "up/old"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in [
            "low/etc/kept",
            "low/etc/gone",
            "low/etc/edited",
            "low/old/deep/x",
            "up/etc/edited",
            "up/new/sub/f",
            "up/old/fresh",
        ] {
            fs::write(at(name), name).unwrap();
        }
        let open = |name: &str| fs::File::open(at(name)).unwrap();
        whiteout::make(open("up/etc").as_fd(), c"gone").unwrap();
        whiteout::make(open("up/etc").as_fd(), c"never").unwrap();
        whiteout::set_opaque(open("up/old").as_fd()).unwrap();
        let (low, mid, up) = (at("low"), at("mid"), at("up"));
        assert_eq!(
            changes(&[&mid, &low], &[&up, &mid, &low]),
            [
                "Changed /etc",
                "Changed /etc/edited",
                "Deleted /etc/gone",
                "Added /new",
                "Added /new/sub",
                "Added /new/sub/f",
                "Changed /old",
                "Deleted /old/deep",
                "Added /old/fresh"
            ]
        );
        assert!(changes(&[&up, &low], &[&up, &low]).is_empty());
        assert_eq!(changes(&[&low], &[&mid]).first().unwrap(), "Changed /etc");
        assert_eq!(changes(&[], &[&mid]), ["Added /etc"]);
    }
}
