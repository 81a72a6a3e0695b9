//! What a container has written, as a layer.

use super::made::{LayerWriter, NewLayer};
use crate::container::ids::IdMaps;
use crate::error::Result;
use crate::image::ChainId;
use crate::storage::Store;
use crate::storage::pack::{Options, Packer};
use crate::storage::unpack::{file_type, resolve};
use crate::storage::upper::{SECRETS, STUBS, Upper};
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::BorrowedFd;
use std::path::Path;

impl NewLayer {
    /// Packs the upper directory of a container with these ids whose image has these layers; `None` when nothing was
    /// written. The caller is in the user namespace.
    ///
    /// # Errors
    /// When a layer is missing, a file cannot be read or the disk is full.
    pub fn of_upper(
        store: &Store,
        upper: &Path,
        below: &[ChainId],
        ids: &IdMaps,
    ) -> Result<Option<NewLayer>> {
        let upper = Upper::open(upper, store.layers().lowers(below)?)?;
        let skip = |path: &[u8]| is_own(upper.top(), path);
        let options = Options { skip: Some(&skip), ..Options::default() };
        match upper.pack(LayerWriter::new(store)?, ids, options)? {
            Some((writer, _)) => writer.finish().map(Some),
            None => Ok(None),
        }
    }

    /// Packs a whole root file system of a container with these ids, without what is mounted in it.
    ///
    /// # Errors
    /// When a file cannot be read or the disk is full.
    pub fn of_root(store: &Store, root: BorrowedFd<'_>, ids: &IdMaps) -> Result<NewLayer> {
        let skip = |path: &[u8]| is_own(root, path);
        let options = Options { one_mount: true, skip: Some(&skip), ids: Some(ids), ..Options::default() };
        let mut packer = Packer::new(LayerWriter::new(store)?, options);
        packer.root(root)?;
        packer.tree(root, b"")?;
        packer.finish()?.0.finish()
    }
}

/// Whether a file is there only for the tool's own to be mounted on.
fn is_own(root: BorrowedFd<'_>, path: &[u8]) -> bool {
    path == SECRETS || (STUBS.contains(&path) && is_empty_file(root, path))
}

fn is_empty_file(root: BorrowedFd<'_>, path: &[u8]) -> bool {
    let held = resolve(root, path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC);
    held.and_then(|fd| fstat(&fd)).is_ok_and(|s| file_type(&s) == SFlag::S_IFREG && s.st_size == 0)
}
