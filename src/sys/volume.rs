//! What a file system supports, by its type (statfs(2)).

use nix::sys::statfs::statfs;
use std::path::Path;

/// File systems that keep no foreign owners, no symlinks, locks or overlay attributes: name by magic number
/// (statfs(2), linux/magic.h, and the vendors' headers).
const UNFIT: [(i64, &str); 15] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x0102_1997, "9p"),
    (0x4750_4653, "GPFS"),
    (0x0bd0_0bd0, "Lustre"),
    (0x00c3_6400, "Ceph"),
    (0x1983_0326, "BeeGFS"),
    (0x7375_7245, "Coda"),
    (0x4d44, "FAT"),
    (0x2011_bab0, "exFAT"),
    (0x7366_746e, "NTFS"),
];

/// The magic number of the file system that `path` is on.
///
/// # Errors
/// Those of statfs(2).
pub fn magic(path: &Path) -> nix::Result<i64> {
    // Some architectures extend the sign of the 32 bits.
    Ok(statfs(path)?.filesystem_type().0 & 0xffff_ffff)
}

/// The name of a file system that cannot hold containers, if `path` is on such a one.
///
/// # Errors
/// Those of statfs(2).
pub fn unfit(path: &Path) -> nix::Result<Option<&'static str>> {
    let magic = magic(path)?;
    Ok(UNFIT.iter().find(|(m, _)| *m == magic).map(|(_, name)| *name))
}
