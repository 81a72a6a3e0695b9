//! One entry of an archive.

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Type {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// One entry, all extensions applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::storage) struct Entry {
    pub(in crate::storage) kind: Type,
    /// As written, not yet looked at.
    pub(in crate::storage) path: Vec<u8>,
    /// Target of a symbolic or hard link.
    pub(in crate::storage) link: Vec<u8>,
    /// Permission bits, at most 0o7777.
    pub(in crate::storage) mode: u32,
    pub(in crate::storage) uid: u32,
    pub(in crate::storage) gid: u32,
    /// Seconds since the epoch.
    pub(in crate::storage) mtime: i64,
    /// Nanoseconds, below 10^9.
    pub(in crate::storage) mtime_nanos: u32,
    /// Extended attributes by full name.
    pub(in crate::storage) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the data goes, when the file has holes: (offset, length), ascending; else all of it at 0.
    pub(in crate::storage) sparse: Option<Vec<(u64, u64)>>,
    /// Size of the file, holes included.
    pub(in crate::storage) size: u64,
}
