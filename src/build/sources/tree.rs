//! The directory that what was fetched is put into.

use crate::error::Result;
use crate::storage::unpack::DIRECTORY;
use crate::storage::{Scratch, record};
use nix::fcntl::openat;
use nix::sys::stat::{Mode, fchmod, mkdirat};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Its name in the scratch directory.
const TREE: &str = "tree";

/// Makes it, with mode 0755; gives its path, too.
///
/// # Errors
/// When the file system refuses.
pub(super) fn make(scratch: &Scratch) -> Result<(OwnedFd, PathBuf)> {
    let path = scratch.path().join(TREE);
    let failed = |e: nix::errno::Errno| record::failed("create", &path, e.into());
    mkdirat(scratch, TREE, Mode::S_IRWXU).map_err(failed)?;
    let root = openat(scratch, TREE, DIRECTORY, Mode::empty()).map_err(failed)?;
    fchmod(&root, Mode::from_bits_truncate(0o755)).map_err(failed)?;
    Ok((root, path))
}
