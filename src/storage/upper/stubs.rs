//! What was made in a root file system only to be mounted on.

use super::Upper;
use crate::error::Result;
use crate::storage::pack::attributes;
use crate::storage::tree::{self, keep_times};
use crate::storage::unpack::finish::{Found, View};
use crate::storage::unpack::{DIRECTORY, file_type, lstat, normalise, resolve};
use crate::storage::whiteout;
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

/// Files that are made for the tool's own to be mounted on, where the image has none.
pub(in crate::storage) const STUBS: [&[u8]; 4] =
    [b"etc/hostname", b"etc/hosts", b"etc/resolv.conf", b"run/.containerenv"];
/// Where secrets are shown.
pub(in crate::storage) const SECRETS: &[u8] = b"run/secrets";

/// Deepest path of a stub.
const DEPTH: usize = 256;

impl Upper {
    /// Removes what was made to be mounted on, if it is empty: `made`, paths that did not exist before and may lead
    /// through symlinks, and with `ran` the tool's own. A directory on the way that is left empty goes too: one above
    /// `made` that the layers below do not have was made with it, and one that is as they have it was copied up for them
    /// alone. Other directories keep their times.
    ///
    /// # Errors
    /// When the file system refuses; a path that leads out of the tree.
    pub(in crate::storage) fn remove_stubs(&self, made: &[Vec<u8>], ran: bool) -> Result<()> {
        let mut paths = BTreeSet::new();
        for path in made {
            paths.extend(self.real_path(&normalise(path, DEPTH)?)?);
        }
        let made = paths.clone();
        for stub in STUBS.iter().chain([&SECRETS]).filter(|_| ran) {
            match self.real_path(stub)? {
                Some(path) if !self.below_has(&path)? => paths.insert(path),
                _ => continue,
            };
        }
        // What is in a directory comes before the directory.
        for path in paths.iter().rev() {
            if self.remove_if_empty(path).map_err(|e| self.fail(e))? {
                let top = if made.contains(path) { self.remove_made_above(path)? } else { path.as_slice() };
                self.remove_copies_above(top)?;
            }
        }
        Ok(())
    }

    /// Removes the directories above a path that were made for it, if they are empty; gives the topmost that went.
    fn remove_made_above<'a>(&self, path: &'a [u8]) -> Result<&'a [u8]> {
        let mut gone = path;
        loop {
            let above = split(gone).0;
            if above.is_empty()
                || self.below_has(above)?
                || !self.remove_if_empty(above).map_err(|e| self.fail(e))?
            {
                return Ok(gone);
            }
            gone = above;
        }
    }

    /// The path without symlinks on the way, as overlay shows it; `None` where there is nothing.
    fn real_path(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let (dir, name) = split(path);
        let dir = View::new(Some(self.top()), &self.below)?.canonical(dir)?;
        Ok(dir.filter(|_| !name.is_empty()).map(|dir| match dir.as_slice() {
            b"" => name.to_vec(),
            dir => [dir, b"/", name].concat(),
        }))
    }

    /// Whether the layers below have something at a path without symlinks.
    fn below_has(&self, path: &[u8]) -> Result<bool> {
        let (dir, name) = split(path);
        match View::new(None, &self.below)?.walk(dir)? {
            Some(Found::Directory(parts)) => Ok(View::of(parts).child(name)?.is_some()),
            _ => Ok(false),
        }
    }

    /// Removes an empty file or directory of the tree; returns whether it did.
    fn remove_if_empty(&self, path: &[u8]) -> nix::Result<bool> {
        let (dir, name) = split(path);
        let dir = match resolve(self.top(), dir, DIRECTORY) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(false),
            other => other?,
        };
        let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let Some(status) = lstat(dir.as_fd(), &name)? else { return Ok(false) };
        let flags = match file_type(&status) {
            SFlag::S_IFDIR => UnlinkatFlags::RemoveDir,
            SFlag::S_IFREG if status.st_size == 0 && !whiteout::is_at(dir.as_fd(), &name, &status)? => {
                UnlinkatFlags::NoRemoveDir
            }
            _ => return Ok(false),
        };
        match keep_times(dir.as_fd(), || unlinkat(&dir, name.as_c_str(), flags)) {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Removes the directories above a path that say no more than the layers below.
    fn remove_copies_above(&self, path: &[u8]) -> Result<()> {
        let mut at = split(path).0;
        while !at.is_empty() && self.is_mere_copy(at)? {
            if !self.remove_if_empty(at).map_err(|e| self.fail(e))? {
                break;
            }
            at = split(at).0;
        }
        Ok(())
    }

    /// Whether this directory is empty and has mode, owner and attributes of the nearest one below.
    fn is_mere_copy(&self, path: &[u8]) -> Result<bool> {
        let Some(Found::Directory(parts)) = View::new(None, &self.below)?.walk(path)? else {
            return Ok(false);
        };
        let Some((_, below)) = parts.first() else { return Ok(false) };
        let same = || -> nix::Result<bool> {
            let own = resolve(self.top(), path, DIRECTORY)?;
            let described = |dir: BorrowedFd<'_>| -> nix::Result<_> {
                let found = fstat(dir)?;
                Ok((found.st_mode, found.st_uid, found.st_gid, attributes(dir, None)?))
            };
            Ok(!whiteout::is_opaque(own.as_fd())?
                && tree::names(own.as_fd())?.is_empty()
                && described(own.as_fd())? == described(below.as_fd())?)
        };
        same().map_err(|e| self.fail(e))
    }
}

/// A path's directory and last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
