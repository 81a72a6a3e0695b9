//! Layers under other ids: a small read-only file system that overlay takes for its lower directories.
//!
//! Theory of operation. The files of a layer belong to ids of the shared user namespace. A container with an
//! id map of its own has others, and neither the file systems of laptops nor overlay may be mounted with an
//! id map by a user (mount_setattr(2), `MOUNT_ATTR_IDMAP`). Nothing is copied or changed: a server process
//! shows each layer as a directory 0, 1, 2 ... of a FUSE file system, with the owners that the container's
//! map makes of them, and the kernel's overlay is mounted on top. What the container writes goes to its upper
//! directory without passing here, and what it reads stays in the page cache.
//!
//! - **The server** holds the layers' directories and the device, and the one capability to read what
//!   belongs to others.
//! - **Inside the layers** ([`tree`]) names are resolved one by one from a directory descriptor, never through
//!   a symlink and never out of the layer. Layers do not change, so the kernel may keep every answer, that
//!   something does not exist among them.
//! - **What a hostile container can ask for** is bounded: no request holds more than one answer, open files
//!   cost nothing here (the server keeps no handles), descriptors are a fixed number, and what is known of a
//!   file goes when the kernel forgets it.
//!
//! Whiteouts (character devices 0/0) and `user.overlay.*` pass as they are. File capabilities come as those of
//! the shared namespace's root, whom the kernel honours in namespaces below. Access lists of layers
//! (`system.posix_acl_*`) hold ids too and are not shown: the permission bits alone count there.

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
