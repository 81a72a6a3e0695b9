//! Inode numbers for files on several disks.

use nix::sys::stat::FileStat;

/// Bits of a number that are the inode's; the others say which disk.
const INODE_BITS: u32 = 48;
/// The number of the root.
pub(super) const ROOT: u64 = 1;
/// Numbers from here up are given one after the other, to files that have none by these rules.
pub(super) const COUNTED: u64 = 1 << 63;

/// What is answered about a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Its number.
    pub(super) number: u64,
    /// Its status as it is shown: owners and inode number are those that callers are to see.
    pub(super) status: FileStat,
}

/// The disks that files are on.
#[derive(Debug, Default)]
pub(super) struct Disks(Vec<u64>);

impl Disks {
    /// One more, if it is not among them.
    pub(super) fn add(&mut self, disk: u64) {
        if !self.0.contains(&disk) {
            self.0.push(disk);
        }
    }

    /// The number of an inode, the same at any time and no other's; `None` for inodes with too large ones.
    pub(super) fn number(&self, (disk, inode): (u64, u64)) -> Option<u64> {
        let at = self.0.iter().position(|known| *known == disk)? as u64;
        (inode > ROOT && inode >> INODE_BITS == 0 && at < 1 << 15).then_some(at << INODE_BITS | inode)
    }
}
