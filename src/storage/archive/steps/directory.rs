//! The directory that a build cache is written into.
//!
//! Theory of operation. Others may have filled it, as a job's cache does before the job begins: a link in it could lead
//! to any file of the user's, and a FIFO keep the build for ever. So only the directory itself is reached by its path;
//! below it nothing is followed or written to, and a new file takes the name of what is there.

use crate::error::Result;
use crate::storage::record::{BELOW, failed_outside, unique};
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Such a directory, or one in it.
pub(super) struct Directory {
    dir: OwnedFd,
    /// For messages.
    path: PathBuf,
}

impl Directory {
    /// Opens it, wherever its path leads; it is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub(super) fn make(path: &Path) -> Result<Directory> {
        fs::create_dir_all(path).map_err(|e| failed_outside("create", path, e))?;
        let dir = File::open(path).map_err(|e| failed_outside("open", path, e))?;
        Ok(Directory { dir: dir.into(), path: path.to_owned() })
    }

    /// A directory in it, which is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or something else has the name.
    pub(super) fn below(&self, name: &str) -> Result<Directory> {
        let path = self.path.join(name);
        match mkdirat(&self.dir, name, Mode::from_bits_truncate(0o777)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(failed_outside("create", &path, e.into())),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let dir = open_within(&self.dir, name, flags, BELOW)
            .map_err(|e| failed_outside("open", &path, e.into()))?;
        Ok(Directory { dir, path })
    }

    /// Whether a file in it has so many bytes. What a power cut has left of one has less.
    pub(super) fn has(&self, name: &str, size: u64) -> bool {
        fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|found| {
            found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
                && u64::try_from(found.st_size) == Ok(size)
        })
    }

    /// Writes a file, which takes the name when it is whole.
    ///
    /// # Errors
    /// Those of `write`, or when the file system refuses; what had the name has it still.
    pub(super) fn write(&self, name: &str, write: impl FnOnce(&File) -> Result<()>) -> Result<()> {
        let path = self.path.join(name);
        let failed = |doing, e: Errno| failed_outside(doing, &path, e.into());
        let fresh = format!(".coracle-{}", unique());
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let file = openat(self.dir.as_fd(), fresh.as_str(), flags, Mode::from_bits_truncate(0o666))
            .map_err(|e| failed("create", e))?;
        let done = write(&File::from(file)).and_then(|()| {
            renameat(&self.dir, fresh.as_str(), &self.dir, name).map_err(|e| failed("create", e))
        });
        if done.is_err() {
            let _ = unlinkat(&self.dir, fresh.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        done
    }

    /// As [`Directory::write`], of these bytes.
    ///
    /// # Errors
    /// As there.
    pub(super) fn write_bytes(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        self.write(name, |mut file| file.write_all(bytes).map_err(|e| failed_outside("write", &path, e)))
    }

    /// The path of something in it, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}
