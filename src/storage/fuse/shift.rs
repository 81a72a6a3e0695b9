//! Layers with shifted ids: a small read-only file system that overlay uses for its lower directories.
//!
//! Theory of operation. The files of a layer have ids of the shared user namespace. A container with its own id
//! map has others, and a user may not create idmapped mounts of common disk file systems or of overlay
//! (mount_setattr(2), `MOUNT_ATTR_IDMAP`). Nothing is copied or changed: a server process shows each layer as a
//! directory 0, 1, 2 ... of a FUSE file system, with owners translated by the container's map, and the kernel's
//! overlay is mounted on top. What the container writes goes directly to its upper directory, and what it reads
//! stays in the page cache.
//!
//! - **The server** holds the layers' directories and the device, and the one capability to read files of other
//!   owners.
//! - **Inside the layers** ([`tree`]) names are resolved one by one from a directory descriptor, never through
//!   a symlink and never out of the layer. Layers do not change, so the kernel may cache every answer,
//!   including that something does not exist.
//! - **Resource use** by a hostile container is bounded: no request holds more than one answer, open files cost
//!   nothing here (the server keeps no handles), the number of descriptors is fixed, and the state of a file is
//!   dropped when the kernel forgets it.
//!
//! Whiteouts (character devices 0/0) and `user.overlay.*` are passed through. File capabilities are shown as
//! those of the shared namespace's root, which the kernel honours in child namespaces. ACLs of layers
//! (`system.posix_acl_*`) contain ids too and are not shown: only the permission bits count.

mod server;
mod tree;

use super::mount_served;
use crate::container::ids::IdMaps;
use crate::fork::{Doing, Failure};
use crate::storage::place::directory;
use std::path::{Path, PathBuf};

/// A mounted file system.
#[derive(Debug)]
pub struct Shifted {
    place: PathBuf,
    count: usize,
}

impl Shifted {
    /// Shows directories under other ids at `place`, a directory of ours. The caller has one thread, is in
    /// the shared user namespace and owns its mount namespace.
    ///
    /// # Errors
    /// The failed step.
    pub fn mount(directories: &[PathBuf], ids: &IdMaps, place: &Path) -> Result<Shifted, Failure> {
        let layers = directories.iter().map(|path| directory(path).doing("open", path));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        mount_served(true, place, |link, device| server::main(link, device, &layers, ids))?;
        Ok(Shifted { place: place.to_owned(), count: directories.len() })
    }

    /// Where the directories are seen, in the order they were given.
    pub fn directories(&self) -> Vec<PathBuf> {
        (0..self.count).map(|at| self.place.join(at.to_string())).collect()
    }
}
