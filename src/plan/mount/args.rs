//! One requested mount.

use crate::container::Name;
use crate::image::{ChainId, Digest};
use std::path::PathBuf;

/// One mount as it was asked for: typed, but with names and relative paths still to be resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct MountArg {
    /// Absolute path inside, without `.`, `..` and doubled slashes.
    pub destination: PathBuf,
    /// What is mounted.
    pub source: SourceArg,
    /// Mounted read-only.
    pub read_only: bool,
    /// `noexec`.
    pub no_exec: bool,
    /// Honour set-user-id bits.
    pub suid: bool,
    /// Honour device nodes.
    pub dev: bool,
    /// Propagation, for binds.
    pub propagation: Option<String>,
    /// Change the source's owner to the container's user.
    pub chown: bool,
    /// Leave the source untouched; the user's own upper and work directories, as written.
    pub overlay: Option<Option<(PathBuf, PathBuf)>>,
    /// Mount this part of the source only.
    pub subpath: Option<PathBuf>,
    /// Make a missing source on the host: an empty directory.
    pub make_source: bool,
    /// A source that is a symbolic link is to be copied as one.
    pub no_dereference: bool,
    /// The option's text, for `inspect`.
    pub asked: String,
}

/// What a [`MountArg`] mounts.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceArg {
    /// A host path, absolute or relative to the caller's working directory.
    Bind {
        /// As written.
        path: PathBuf,
        /// Mounts below it come along.
        recursive: bool,
    },
    /// A volume; `None` is a new one of this container's own.
    Volume {
        /// Its name.
        name: Option<Name>,
        /// Fill an empty volume from the image at first use.
        copy_up: bool,
    },
    /// A memory file system.
    Tmpfs {
        /// How large it may get.
        size: Option<MemorySize>,
        /// Permission bits.
        mode: Option<u32>,
        /// Copy what the image has there into it.
        copy_up: bool,
        /// Inodes.
        inodes: Option<u64>,
        /// Owner of its root.
        uid: Option<u32>,
        /// Group of its root.
        gid: Option<u32>,
    },
    /// A memory file system without a limit.
    Ramfs {
        /// Permission bits.
        mode: Option<u32>,
        /// Copy what the image has there into it.
        copy_up: bool,
    },
    /// An image's files.
    Image(ImageArg),
    /// Host paths that match a pattern, each mounted by its own name below the destination.
    Glob(String),
    /// Terminals.
    Devpts {
        /// Owner of new ones.
        uid: Option<u32>,
        /// Their group.
        gid: Option<u32>,
        /// Their permission bits.
        mode: Option<u32>,
        /// Most at a time.
        max: Option<u32>,
    },
}

/// The size of a memory file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemorySize {
    /// In bytes.
    Bytes(u64),
    /// In per cent of this machine's memory (tmpfs(5)).
    Share(u16),
}

/// The image of a mount, before and after it was looked up.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageArg {
    /// As written.
    Named(String),
    /// What that was: as written, image id, layers bottom first.
    Found(String, Digest, Vec<ChainId>),
}

/// `--volume [SOURCE:]DESTINATION[:OPTIONS]`.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeArg(pub MountArg);

/// `--mount type=TYPE,KEY=VALUE,...`.
#[derive(Debug, Clone, PartialEq)]
pub struct MountOption(pub MountArg);

/// `--tmpfs DESTINATION[:OPTIONS]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TmpfsArg(pub MountArg);
