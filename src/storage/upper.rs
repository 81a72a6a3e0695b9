//! The upper directory of an overlay, as a layer.
//!
//! Theory of operation. What a container or a step of a build changes lies in an overlay's upper directory, and
//! [`Upper::pack`] writes it as a layer's archive. For `commit` the archive is all that counts: what does not belong
//! into it is skipped. A build step's directory becomes the layer itself, so it must hold what the archive holds and
//! nothing else: [`Upper::remove_stubs`] and [`tidy`](Upper::tidy) remove the rest, through descriptors below the
//! directory only (attack case 45).

mod stubs;
mod tidy;
mod walk;

pub(super) use stubs::{SECRETS, STUBS};
pub(super) use tidy::Times;

use super::pack::{Options, Packed, Packer, Whiteouts};
use super::place::open_dir;
use super::tree;
use super::unpack::finish::Lower;
use super::unpack::{BASE, resolve};
use crate::container::ids::IdMaps;
use crate::error::{Error, Kind, Result};
use nix::sys::stat::fstat;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// An upper directory and the layers that it lies over.
pub(super) struct Upper {
    path: PathBuf,
    top: OwnedFd,
    /// Bottom first.
    below: Vec<Lower>,
}

impl Upper {
    /// Opens the directory at a path of the store.
    ///
    /// # Errors
    /// When it is not there, or something else is in its place.
    pub(super) fn open(path: &Path, below: Vec<Lower>) -> Result<Upper> {
        Ok(Upper { path: path.to_owned(), top: open_dir(path)?, below })
    }

    /// The directory itself.
    pub(super) fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// Packs it for a container with these ids, whatever the options say of ids and whiteouts; gives nothing when nothing was changed.
    ///
    /// # Errors
    /// When a file cannot be read or the output takes no more.
    pub(super) fn pack<W: Write>(
        &self,
        out: W,
        ids: &IdMaps,
        options: Options<'_>,
    ) -> Result<Option<(W, Packed)>> {
        let hides = |path: &[u8]| self.below.iter().any(|l| resolve(l.root.as_fd(), path, BASE).is_ok());
        let whiteouts = Whiteouts::Names(&hides);
        let mut packer = Packer::new(out, Options { whiteouts, ids: Some(ids), ..options });
        if self.root_is_changed(ids)? {
            packer.root(self.top())?;
        } else if tree::names(self.top()).map_err(|e| self.fail(e))?.is_empty() {
            return Ok(None);
        }
        packer.tree(self.top(), b"")?;
        let (out, packed) = packer.finish()?;
        Ok((packed.entries > 0).then_some((out, packed)))
    }

    /// Whether mode or owner of the root are others than those that it was made with.
    fn root_is_changed(&self, ids: &IdMaps) -> Result<bool> {
        let root = fstat(&self.top).map_err(|e| self.fail(e))?;
        let (mode, (uid, gid)) = match self.below.last() {
            Some(lower) => {
                let found = fstat(&lower.root).map_err(|e| self.fail(e))?;
                (found.st_mode, (found.st_uid, found.st_gid))
            }
            None => (0o755, (0, 0)),
        };
        let owner = ids.inside((root.st_uid, root.st_gid));
        Ok((root.st_mode ^ mode) & 0o7777 != 0 || owner != (Some(uid), Some(gid)))
    }

    fn fail(&self, e: nix::errno::Errno) -> Error {
        Error::new(Kind::Storage, format!("look at {}", self.path.display())).caused_by(e)
    }
}
