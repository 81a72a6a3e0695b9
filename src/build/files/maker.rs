//! Making files below a destination: what copies, inline files, downloads and archives have in common.
//!
//! Theory of operation. A destination is resolved by hand inside its root ([`within`](super::within)), missing
//! directories are made on the way. From then on files are made in open directories, by names that are never followed.
//! A file takes the place of another file or symlink, never of a directory; a directory takes the place of nothing.

use super::apart::{End, clear_way, unlink};
use super::destination::Destination;
use super::mode::ModeChange;
use super::node::Moment;
use super::path::{join, shown};
use super::tree::failed;
use super::within::{Found, find};
use crate::error::{Error, Kind, Result, phrases};
use crate::storage::tree::remove_tree;
use crate::storage::unpack::{DIRECTORY, file_type, lstat};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown};
use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How files are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Write {
    /// `--chown`: user and group of all that is made, missing directories included; `None` is whom the files belong to
    /// in the tree, and root for what comes from elsewhere.
    pub owner: Option<(u32, u32)>,
    /// `--chmod`: what becomes of the modes of files and directories that are copied. As in podman, directories that
    /// were missing have mode 0755 all the same.
    pub mode: Option<ModeChange>,
    /// No time of what is made is later than this, in seconds since 1970.
    pub no_later_than: Option<i64>,
    /// Archives among the sources are unpacked (ADD).
    pub unpack: bool,
    /// `--link`: what is there counts for nothing. What stands in the way is replaced, and no symlink is followed.
    pub apart: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Files, directories not counted.
    pub files: u64,
    /// Bytes of their contents, holes counted.
    pub bytes: u64,
    /// Devices in archives, which were not made.
    pub devices: u64,
    /// A file was no longer what it was when it was selected: the content key does not stand for what was written.
    pub changed: bool,
}

/// Where a file goes.
#[derive(Debug)]
pub(super) struct Target {
    /// The directory.
    pub(super) dir: OwnedFd,
    /// Its path in the root.
    pub(super) dir_path: Vec<u8>,
    /// The name in it.
    pub(super) name: CString,
}

/// Makes files as it is asked to.
pub(super) struct Maker<'a> {
    pub(super) how: &'a Write,
    /// Whether files can have owners.
    many_ids: bool,
    /// The directories that were missing.
    made: RefCell<Vec<OwnedFd>>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(how: &'a Write) -> Result<Maker<'a>> {
        Ok(Maker { how, many_ids: crate::storage::many_ids()?, made: RefCell::default() })
    }

    /// The directory that a destination is, made if it is missing, and its path.
    pub(super) fn directory(&self, to: &Destination<'_>) -> Result<(OwnedFd, Vec<u8>)> {
        if self.how.apart {
            clear_way(to.root, &to.path, End::Directory)?;
        }
        let found = self.find(to)?;
        if found.status.is_none() {
            self.missing_dir(found.dir.as_fd(), &found.name).map_err(|e| directory_failed(&to.path, e))?;
        }
        match found.directory() {
            Err(Errno::ENOTDIR | Errno::ELOOP) => Err(phrases::no_directory_to_copy_to(&shown(&to.path))),
            other => {
                let dir = other.map_err(|e| failed("open directory", &to.path, e))?;
                let path = found.path();
                Ok((dir, path))
            }
        }
    }

    /// Where a file of this name goes: into the destination if that is a directory, else it becomes the destination.
    pub(super) fn file_target(&self, to: &Destination<'_>, name: &CStr) -> Result<Target> {
        if self.how.apart && !to.is_directory {
            clear_way(to.root, &to.path, End::File)?;
        }
        let found = if to.is_directory { None } else { Some(self.find(to)?) };
        if let Some(found) = found
            && found.kind() != Some(SFlag::S_IFDIR)
        {
            return Ok(Target { dir: found.dir, dir_path: found.dir_path, name: found.name });
        }
        let (dir, dir_path) = self.directory(to)?;
        Ok(Target { dir, dir_path, name: name.to_owned() })
    }

    fn find(&self, to: &Destination<'_>) -> Result<Found> {
        find(to.root, &to.path, |dir, name| self.missing_dir(dir, name)).map_err(|e| match e {
            Errno::ENOTDIR => phrases::no_directory_to_copy_to(&shown(&to.path)),
            _ => directory_failed(&to.path, e),
        })
    }

    /// Makes a directory that is missing on the way to a destination.
    fn missing_dir(&self, dir: BorrowedFd<'_>, name: &CStr) -> nix::Result<()> {
        mkdirat(dir, name, Mode::S_IRWXU)?;
        let made = openat(dir, name, DIRECTORY, Mode::empty())?;
        self.set_owner(made.as_fd(), (0, 0))?;
        fchmod(&made, Mode::from_bits_truncate(0o755))?;
        self.made.borrow_mut().push(made);
        Ok(())
    }

    /// Sets the times of directories that were missing, if they have a bound, now that nothing more is made in them.
    pub(super) fn settle(&self) -> Result<()> {
        let made = self.made.take();
        if self.how.no_later_than.is_none() {
            return Ok(());
        }
        for dir in made.iter().rev() {
            let time = fstat(dir).and_then(|s| self.set_time(dir.as_fd(), (s.st_mtime, s.st_mtime_nsec)));
            time.map_err(|e| Error::new(Kind::Storage, "set the time of a directory").caused_by(e))?;
        }
        Ok(())
    }

    /// Opens a new file, in the place of another one if there is one. Only its owner may use it yet.
    pub(super) fn create(&self, dir: BorrowedFd<'_>, name: &CStr, dir_path: &[u8]) -> Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let make = || openat(dir, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from);
        self.in_free_place(dir, name, dir_path, make)
    }

    /// Makes something that is no directory, in the place of another such thing if there is one.
    pub(super) fn in_free_place<T>(
        &self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        dir_path: &[u8],
        make: impl Fn() -> nix::Result<T>,
    ) -> Result<T> {
        let fail = |doing, e| failed(doing, &join(dir_path, name.to_bytes()), e);
        match make() {
            Err(Errno::EEXIST) => {}
            other => return other.map_err(|e| fail("create", e)),
        }
        let status = lstat(dir, name).map_err(|e| fail("look at", e))?;
        let is_directory = status.is_some_and(|status| file_type(&status) == SFlag::S_IFDIR);
        if is_directory && self.how.apart {
            remove_tree(dir, name).map_err(|e| fail("replace", e))?;
            return make().map_err(|e| fail("create", e));
        }
        if is_directory {
            return Err(phrases::directory_in_place_of_copy(&shown(&join(dir_path, name.to_bytes()))));
        }
        unlink(dir, name).map_err(|e| fail("replace", e))?;
        make().map_err(|e| fail("create", e))
    }

    /// Gives an open file to whom it shall belong; `owner` is whom if nobody was asked for.
    pub(super) fn set_owner(&self, file: BorrowedFd<'_>, owner: (u32, u32)) -> nix::Result<()> {
        match self.owner(owner) {
            Some((uid, gid)) => fchown(file, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// Whom a file shall belong to; `None` if that cannot be chosen.
    pub(super) fn owner(&self, owner: (u32, u32)) -> Option<(Uid, Gid)> {
        let (uid, gid) = self.how.owner.unwrap_or(owner);
        self.many_ids.then(|| (Uid::from_raw(uid), Gid::from_raw(gid)))
    }

    /// The mode of something that had this one.
    pub(super) fn mode(&self, before: u32, is_directory: bool) -> u32 {
        self.how.mode.as_ref().map_or(before, |change| change.apply(before, is_directory))
    }

    /// Sets the time of an open file.
    pub(super) fn set_time(&self, file: BorrowedFd<'_>, time: Moment) -> nix::Result<()> {
        let time = self.time(time);
        futimens(file, &time, &time)
    }

    /// The time of something that had this one.
    pub(super) fn time(&self, time: Moment) -> TimeSpec {
        let latest = self.how.no_later_than.map(|seconds| (seconds, 0));
        let (seconds, nanos) = latest.map_or(time, |latest| time.min(latest));
        TimeSpec::new(seconds, nanos)
    }
}

/// A directory that could not be made, or not be given away.
fn directory_failed(path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::EINVAL => owner_failed(path, errno),
        _ => failed("create directory", path, errno),
    }
}

/// A failed change of an owner, which is almost always one outside the map.
pub(super) fn owner_failed(path: &[u8], errno: Errno) -> Error {
    if errno != Errno::EINVAL {
        return failed("set the owner of", path, errno);
    }
    Error::new(Kind::Host, format!("the owner of {} is outside this account's ids", shown(path))).hint(
        "Give the account a larger range: sudo usermod --add-subuids 100000-1000000 --add-subgids 100000-1000000 $USER",
    )
}
