//! What a container has written, as a layer.

use super::made::{LayerWriter, NewLayer};
use crate::container::ids::IdMaps;
use crate::error::{Error, Kind, Result};
use crate::image::ChainId;
use crate::storage::pack::{Options, Packer, Whiteouts};
use crate::storage::place::open_dir;
use crate::storage::unpack::{BASE, file_type, resolve};
use crate::storage::{Store, tree};
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Files that are made for the tool's own to be mounted on, where the image has none.
const STUBS: [&[u8]; 4] = [b"etc/hostname", b"etc/hosts", b"etc/resolv.conf", b"run/.containerenv"];
/// Where secrets are shown.
const SECRETS: &[u8] = b"run/secrets";

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
        let lowers: Vec<OwnedFd> =
            below.iter().map(|id| open_dir(&store.layers().path(id)?)).collect::<Result<_>>()?;
        let top = open_dir(upper)?;
        let hides = |path: &[u8]| lowers.iter().any(|lower| resolve(lower.as_fd(), path, BASE).is_ok());
        let skip =
            |path: &[u8]| path == SECRETS || (STUBS.contains(&path) && is_empty_file(top.as_fd(), path));
        let options = Options {
            whiteouts: Whiteouts::Names(&hides),
            skip: Some(&skip),
            ids: Some(ids),
            ..Options::default()
        };
        let mut packer = Packer::new(LayerWriter::new(store)?, options);
        let fail = |e| Error::new(Kind::Storage, format!("look at {}", upper.display())).caused_by(e);
        let root = fstat(&top).map_err(fail)?;
        // As the directory is made; only what the container did to its root is of the image.
        let (mode, (uid, gid)) = match lowers.last() {
            Some(lower) => {
                fstat(lower).map(|found| (found.st_mode, (found.st_uid, found.st_gid))).map_err(fail)?
            }
            None => (0o755, (0, 0)),
        };
        let owner = ids.inside((root.st_uid, root.st_gid));
        let changed = (root.st_mode ^ mode) & 0o7777 != 0 || owner != (Some(uid), Some(gid));
        if changed {
            packer.root(top.as_fd())?;
        }
        if !changed && tree::names(top.as_fd()).map_err(fail)?.is_empty() {
            return Ok(None);
        }
        packer.tree(top.as_fd(), b"")?;
        let (writer, packed) = packer.finish()?;
        if packed.entries == 0 { Ok(None) } else { writer.finish().map(Some) }
    }

    /// Packs a whole root file system of a container with these ids, without what is mounted in it.
    ///
    /// # Errors
    /// When a file cannot be read or the disk is full.
    pub fn of_root(store: &Store, root: BorrowedFd<'_>, ids: &IdMaps) -> Result<NewLayer> {
        let skip = |path: &[u8]| path == SECRETS || (STUBS.contains(&path) && is_empty_file(root, path));
        let options = Options { one_mount: true, skip: Some(&skip), ids: Some(ids), ..Options::default() };
        let mut packer = Packer::new(LayerWriter::new(store)?, options);
        packer.root(root)?;
        packer.tree(root, b"")?;
        packer.finish()?.0.finish()
    }
}

fn is_empty_file(root: BorrowedFd<'_>, path: &[u8]) -> bool {
    let held = resolve(root, path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC);
    held.and_then(|fd| fstat(&fd)).is_ok_and(|s| file_type(&s) == SFlag::S_IFREG && s.st_size == 0)
}
