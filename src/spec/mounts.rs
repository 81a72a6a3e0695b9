//! One mount in a plan.

use crate::container::Name;
use crate::image::{ChainId, Digest};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One mount inside the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MountSpec {
    /// Absolute path inside; resolved in the root by descriptor.
    pub destination: PathBuf,
    /// What is mounted.
    pub source: MountSource,
    /// Mounted read-only (recursively for binds).
    pub read_only: bool,
    /// `noexec`, whatever the source has. What the source has itself stays in any case.
    pub no_exec: bool,
    /// Honour set-user-id bits where the source does; by default for binds only.
    pub suid: bool,
    /// Honour device nodes where the source does; by default for binds only.
    pub dev: bool,
    /// `private`, `rprivate` (default), `slave`, `rslave`, `shared`, `rshared`.
    pub propagation: Option<String>,
    /// Change the owner of the source, recursively, to the container's user (option `U`).
    #[serde(default)]
    pub chown: bool,
    /// Leave the source untouched: changes go to a layer above it (option `O`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<OverlaySpec>,
    /// Mount this part of a volume or image only; relative, resolved inside it by descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subpath: Option<PathBuf>,
}

impl MountSpec {
    /// A writable mount without further wishes.
    pub fn new(source: MountSource, destination: PathBuf) -> MountSpec {
        MountSpec {
            destination,
            source,
            read_only: false,
            no_exec: false,
            suid: false,
            dev: false,
            propagation: None,
            chown: false,
            overlay: None,
            subpath: None,
        }
    }

    /// A path of the host with the part of it that is mounted.
    pub fn whole(&self, path: &std::path::Path) -> PathBuf {
        self.subpath.as_ref().map_or_else(|| path.to_owned(), |part| path.join(part))
    }
}

/// Where changes to a source that is left untouched go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlaySpec {
    /// The user's own upper and work directories, absolute; `None` is a pair that goes with the run.
    pub kept: Option<(PathBuf, PathBuf)>,
}

/// What a [`MountSpec`] mounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    /// A host file or directory.
    Bind {
        /// Absolute host path.
        path: PathBuf,
        /// Mounts below it come along.
        recursive: bool,
    },
    /// A volume from the store.
    Volume {
        /// Its name.
        name: Name,
        /// Made for this container and removed with it.
        anonymous: bool,
        /// Fill an empty volume from the image at first use.
        copy_up: bool,
    },
    /// An empty memory file system.
    Tmpfs {
        /// Bytes; the kernel's default when `None`.
        size: Option<u64>,
        /// Permission bits of its root, 1777 by default.
        mode: Option<u32>,
        /// Inodes (`nr_inodes`); the kernel's default when `None`.
        #[serde(default)]
        inodes: Option<u64>,
        /// Owner of its root by number inside; 0 when `None`.
        #[serde(default)]
        uid: Option<u32>,
        /// Group of its root by number inside; 0 when `None`.
        #[serde(default)]
        gid: Option<u32>,
        /// Copy what the image has there into it.
        copy_up: bool,
    },
    /// An empty memory file system that is never swapped out and has no limit.
    Ramfs {
        /// Permission bits of its root, 1777 by default.
        mode: Option<u32>,
        /// Copy what the image has there into it.
        copy_up: bool,
    },
    /// The files of an image; changes, where they are allowed, go with the run.
    Image {
        /// The image, as it was named.
        reference: String,
        /// Image id: digest of the configuration.
        id: Digest,
        /// Its layers, bottom first.
        layers: Vec<ChainId>,
    },
    /// Terminals of its own.
    Devpts {
        /// Owner of new terminals; if `None`, the process that opens them.
        uid: Option<u32>,
        /// Group of new terminals.
        gid: Option<u32>,
        /// Permission bits of new terminals, 600 by default.
        mode: Option<u32>,
        /// Most terminals at a time.
        max: Option<u32>,
    },
}
