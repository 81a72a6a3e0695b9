//! Copying files between directories of the store, by descriptors and without following links.

use super::unpack::{BASE, DIRECTORY, chmod_held, copy_xattrs, file_type, lstat, resolve};
use super::{holes, tree};
use crate::sys::fd::despite_leases;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{
    FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, futimens, mkdirat, mknodat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, linkat, symlinkat};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};

/// Deepest tree that is copied; each level holds two descriptors.
const DEPTH: usize = 256;

/// Where a file with several names was copied to first, by device and inode: directory below the top of
/// the copy, and name. No descriptors, since there may be thousands.
type Links = HashMap<(u64, u64), (Vec<u8>, CString)>;

/// Copies one file that is no directory: content, owner, mode, attributes, time. Devices and sockets
/// are left out, which false says.
///
/// # Errors
/// Those of the calls it takes; `EEXIST` when the target's name is taken.
pub(super) fn node(
    from: (BorrowedFd<'_>, &CStr),
    to: (BorrowedFd<'_>, &CStr),
    status: &FileStat,
) -> nix::Result<bool> {
    let kind = file_type(status);
    if kind == SFlag::S_IFREG {
        regular(from, to)?;
        return Ok(true);
    }
    if kind == SFlag::S_IFLNK {
        let target = readlinkat(from.0, from.1)?;
        symlinkat(target.as_os_str(), to.0, to.1)?;
    } else if kind == SFlag::S_IFIFO {
        mknodat(to.0, to.1, SFlag::S_IFIFO, Mode::S_IRUSR, 0)?;
    } else {
        return Ok(false);
    }
    let made = lstat(to.0, to.1)?.ok_or(Errno::ENOENT)?;
    if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid) {
        let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
        fchownat(to.0, to.1, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    if kind == SFlag::S_IFIFO {
        let held = openat(to.0, to.1, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
        chmod_held(held.as_fd(), status.st_mode & 0o7777)?;
    }
    let (accessed, modified) = times(status);
    utimensat(to.0, to.1, &accessed, &modified, UtimensatFlags::NoFollowSymlink)?;
    Ok(true)
}

fn regular(from: (BorrowedFd<'_>, &CStr), to: (BorrowedFd<'_>, &CStr)) -> nix::Result<()> {
    // What was a regular file before is checked again once it is open; a FIFO does not block.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let open = || openat(from.0, from.1, flags, Mode::empty());
    let mut source = File::from(despite_leases(open)?);
    let status = fstat(&source)?;
    if file_type(&status) != SFlag::S_IFREG {
        return Err(Errno::ESTALE);
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut target = File::from(openat(to.0, to.1, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    content(&mut source, &mut target, u64::try_from(status.st_size).unwrap_or(0))
        .map_err(|e| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    attributes(source.as_fd(), target.as_fd())
}

/// Copies the contents of a file of this size: the pieces with data, so that an image cannot fill a disk with a hole
/// (attack case 9).
///
/// # Errors
/// Those of reading and writing; `EFBIG` for a file with too many holes.
pub fn content(source: &mut File, target: &mut File, size: u64) -> std::io::Result<()> {
    for (offset, length) in holes::pieces(source.as_fd(), size)? {
        source.seek(SeekFrom::Start(offset))?;
        target.seek(SeekFrom::Start(offset))?;
        // The standard library shares or copies extents inside the kernel where the file system can.
        std::io::copy(&mut source.take(length), target)?;
    }
    target.set_len(size)
}

/// Copies owner, mode, extended attributes and times of one open file or directory to another.
///
/// # Errors
/// Those of the calls it takes.
pub(super) fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> nix::Result<()> {
    let (status, made) = (fstat(from)?, fstat(to)?);
    if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid) {
        fchown(to, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))?;
    }
    fchmod(to, Mode::from_bits_truncate(status.st_mode & 0o7777))?;
    copy_xattrs(from, to)?;
    let (accessed, modified) = times(&status);
    futimens(to, &accessed, &modified)
}

pub(super) fn times(status: &FileStat) -> (TimeSpec, TimeSpec) {
    (
        TimeSpec::new(status.st_atime, status.st_atime_nsec),
        TimeSpec::new(status.st_mtime, status.st_mtime_nsec),
    )
}

/// Copies everything in a directory into another one, and its own attributes at the end.
///
/// # Errors
/// Those of the calls it takes; `ENAMETOOLONG` for a tree deeper than 256.
pub(super) fn tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> nix::Result<()> {
    Copier { top: to, links: Links::new() }.level(from, to, &mut Vec::new(), 0)
}

struct Copier<'a> {
    top: BorrowedFd<'a>,
    links: Links,
}

impl Copier<'_> {
    /// Copies one directory; `path` is where it is below the top.
    fn level(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> nix::Result<()> {
        if depth > DEPTH {
            return Err(Errno::ENAMETOOLONG);
        }
        for name in tree::names(from)? {
            // What disappears under our eyes is not copied.
            let Some(status) = lstat(from, &name)? else { continue };
            if file_type(&status) == SFlag::S_IFDIR {
                let below = openat(from, name.as_c_str(), DIRECTORY, Mode::empty())?;
                mkdirat(to, name.as_c_str(), Mode::S_IRWXU)?;
                let made = openat(to, name.as_c_str(), DIRECTORY, Mode::empty())?;
                let length = path.len();
                path.extend_from_slice(name.to_bytes());
                path.push(b'/');
                self.level(below.as_fd(), made.as_fd(), path, depth + 1)?;
                path.truncate(length);
            } else {
                self.file((from, &name), to, &status, path)?;
            }
        }
        attributes(from, to)
    }

    fn file(
        &mut self,
        from: (BorrowedFd<'_>, &CStr),
        to: BorrowedFd<'_>,
        status: &FileStat,
        path: &[u8],
    ) -> nix::Result<()> {
        let inode = (status.st_dev, status.st_ino);
        if status.st_nlink > 1
            && let Some((dir, first)) = self.links.get(&inode)
        {
            let dir = resolve(self.top, dir, BASE)?;
            return linkat(&dir, first.as_c_str(), to, from.1, AtFlags::empty());
        }
        if node(from, (to, from.1), status)? && status.st_nlink > 1 {
            self.links.insert(inode, (path.to_vec(), from.1.to_owned()));
        }
        Ok(())
    }
}
