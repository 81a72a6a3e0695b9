//! Converts file attributes between the kernel's form and fuser's.

use crate::storage::unpack::file_type;
use crate::sys::xattr;
use fuser::{Errno, FileAttr, FileType, Generation, INodeNo, ReplyData, ReplyStatfs, ReplyXattr, TimeOrNow};
use nix::libc;
use nix::sys::stat::{FileStat, SFlag};
use nix::sys::statvfs::Statvfs;
use nix::sys::time::TimeSpec;
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the kernel may keep an answer: nobody else changes what is served.
pub(super) const FOR_EVER: Duration = Duration::from_secs(366 * 24 * 3600);
/// Numbers are not used twice for different files at a time.
pub(super) const GENERATION: Generation = Generation(0);

/// The kernel's answer as it is passed on.
pub(super) fn errno(e: nix::Error) -> Errno {
    Errno::from_i32(e as i32)
}

fn moment(seconds: i64, nanos: i64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    let nanos = Duration::from_nanos(nanos.unsigned_abs());
    base.and_then(|base| base.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

/// A time to be set.
pub(super) fn time(time: TimeOrNow) -> TimeSpec {
    match time {
        TimeOrNow::Now => TimeSpec::new(0, libc::UTIME_NOW),
        TimeOrNow::SpecificTime(time) => spec(time),
    }
}

fn spec(time: SystemTime) -> TimeSpec {
    let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => TimeSpec::new(whole(since.as_secs()), since.subsec_nanos().into()),
        Err(before) => {
            let before = before.duration();
            match before.subsec_nanos() {
                0 => TimeSpec::new(-whole(before.as_secs()), 0),
                nanos => TimeSpec::new(-whole(before.as_secs()) - 1, (1_000_000_000 - nanos).into()),
            }
        }
    }
}

fn kind(status: &FileStat) -> FileType {
    match file_type(status) {
        SFlag::S_IFDIR => FileType::Directory,
        SFlag::S_IFLNK => FileType::Symlink,
        SFlag::S_IFCHR => FileType::CharDevice,
        SFlag::S_IFBLK => FileType::BlockDevice,
        SFlag::S_IFIFO => FileType::NamedPipe,
        SFlag::S_IFSOCK => FileType::Socket,
        _ => FileType::RegularFile,
    }
}

/// As listings have it; kinds that no layer has are taken for files.
pub(super) fn kind_of_entry(kind: u8) -> FileType {
    match kind {
        libc::DT_DIR => FileType::Directory,
        libc::DT_LNK => FileType::Symlink,
        libc::DT_CHR => FileType::CharDevice,
        libc::DT_BLK => FileType::BlockDevice,
        libc::DT_FIFO => FileType::NamedPipe,
        libc::DT_SOCK => FileType::Socket,
        _ => FileType::RegularFile,
    }
}

/// A file's attributes under a number.
pub(super) fn attributes(number: u64, status: &FileStat) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: status.st_size.unsigned_abs(),
        blocks: status.st_blocks.unsigned_abs(),
        atime: moment(status.st_atime, status.st_atime_nsec),
        mtime: moment(status.st_mtime, status.st_mtime_nsec),
        ctime: moment(status.st_ctime, status.st_ctime_nsec),
        crtime: UNIX_EPOCH,
        kind: kind(status),
        perm: (status.st_mode & 0o7777) as u16,
        nlink: u32::try_from(status.st_nlink).unwrap_or(u32::MAX),
        uid: status.st_uid,
        gid: status.st_gid,
        rdev: u32::try_from(status.st_rdev).unwrap_or(u32::MAX),
        blksize: 4096,
        flags: 0,
    }
}

/// Attributes for an entry of a listing that is shown with this number but is not to be known by it. The kernel
/// shows the entry, then finds its size impossible, makes no file of it and gives the number back
/// (`fuse_direntplus_link` in fs/fuse/readdir.c); whoever wants the file looks it up by its name.
pub(super) fn shown_only(number: u64, status: &FileStat) -> FileAttr {
    FileAttr { size: u64::MAX, ..attributes(number, status) }
}

/// The answer that there is nothing, to be kept like any other.
pub(super) fn nothing() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

/// The names of a file's extended attributes that are to be shown, each ended by a NUL byte.
pub(super) fn listed(file: BorrowedFd<'_>, is_shown: fn(&[u8]) -> bool) -> nix::Result<Vec<u8>> {
    let all = xattr::list(file)?;
    let names = all.split_inclusive(|b| *b == 0);
    let shown = names.filter(|name| is_shown(name.strip_suffix(b"\0").unwrap_or(name)));
    Ok(shown.flatten().copied().collect())
}

/// What a symbolic link holds.
pub(super) fn tell_link(reply: ReplyData, target: nix::Result<OsString>) {
    match target {
        Ok(target) => reply.data(target.as_bytes()),
        Err(e) => reply.error(errno(e)),
    }
}

/// The value of an extended attribute.
pub(super) fn tell_attribute(reply: ReplyXattr, value: nix::Result<Option<Vec<u8>>>, size: u32) {
    match value {
        Ok(Some(value)) => answer(reply, &value, size),
        Ok(None) => reply.error(Errno::ENODATA),
        Err(e) => reply.error(errno(e)),
    }
}

/// The names of extended attributes.
pub(super) fn tell_attributes(reply: ReplyXattr, names: nix::Result<Vec<u8>>, size: u32) {
    match names {
        Ok(names) => answer(reply, &names, size),
        Err(e) => reply.error(errno(e)),
    }
}

/// What does not fit into the buffer, or the length alone when that was asked for.
fn answer(reply: ReplyXattr, value: &[u8], size: u32) {
    match u32::try_from(value.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(value),
        _ => reply.error(Errno::ERANGE),
    }
}

/// What is known of a file system.
pub(super) fn tell_file_system(reply: ReplyStatfs, found: nix::Result<Statvfs>) {
    let found = match found {
        Ok(found) => found,
        Err(e) => return reply.error(errno(e)),
    };
    reply.statfs(
        found.blocks(),
        found.blocks_free(),
        found.blocks_available(),
        found.files(),
        found.files_free(),
        u32::try_from(found.block_size()).unwrap_or(4096),
        u32::try_from(found.name_max()).unwrap_or(255),
        u32::try_from(found.fragment_size()).unwrap_or(4096),
    );
}
