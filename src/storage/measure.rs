//! The disk usage of everything in the data root, as du(1) counts it.
//!
//! Theory of operation. Trees are walked by descriptors, never through a symlink and never into another file
//! system. Allocated blocks are counted, including those of directories, and a file with several names once, so
//! that the sum is that of `du -s`. Files that disappear meanwhile are not counted.

use super::place;
use super::record::failed;
use super::store::Store;
use crate::error::Result;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::AsFd;

/// Deepest directory that is looked into; each level holds one descriptor.
const DEPTH: usize = 400;

/// Directories whose entries are measured one by one.
const SPLIT: [&str; 9] = [
    "layers",
    "containers",
    "volumes",
    "oci/blobs/sha256",
    "oci/blobs/sha512",
    "build/mounts",
    "build/steps",
    "tmp",
    "trash",
];

/// Bytes by path below the data root: an entry each for what lies in `layers`, `containers`, `volumes`, `tmp`,
/// `trash` and the directories of blobs, cache mounts and build steps, one for everything else at the top, and one for the root itself (`.`).
pub type Sizes = BTreeMap<String, u64>;

/// Measures the data root. Files of other ids need the user namespace.
///
/// # Errors
/// When a directory cannot be read.
pub fn data_root(store: &Store) -> Result<Sizes> {
    let data = store.data();
    let mut walk = Walk { seen: HashSet::new(), sizes: Sizes::new(), device: 0 };
    let root = place::open_dir(data)?;
    let mut measure = || -> nix::Result<()> {
        let found = fstat(&root)?;
        walk.device = found.st_dev;
        walk.sizes.insert(".".to_owned(), room(&found));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        walk.split(Dir::openat(root.as_fd(), ".", flags, Mode::empty())?, "", 0)
    };
    measure().map_err(|e| failed("measure", data, e.into()))?;
    Ok(walk.sizes)
}

struct Walk {
    seen: HashSet<u64>,
    sizes: Sizes,
    device: u64,
}

fn room(found: &FileStat) -> u64 {
    found.st_blocks.unsigned_abs() * 512
}

impl Walk {
    /// Measures a directory's entries, each under its own path; goes down to those of [`SPLIT`].
    fn split(&mut self, mut dir: Dir, path: &str, depth: usize) -> nix::Result<()> {
        for name in names(&mut dir)? {
            let text = String::from_utf8_lossy(name.to_bytes());
            let below = if path.is_empty() { text.into_owned() } else { format!("{path}/{text}") };
            let leads_on = SPLIT.iter().any(|s| *s == below || s.starts_with(&format!("{below}/")));
            let looked = match self.look(&dir, &name) {
                // Other entries do not belong to the store, such as `lost+found` on a disk of its own.
                Err(Errno::EACCES) if path.is_empty() => continue,
                other => other?,
            };
            let Some((found, inner)) = looked else { continue };
            match inner {
                Some(inner) if leads_on => {
                    self.sizes.insert(format!("{below}/."), found);
                    self.split(inner, &below, depth + 1)?;
                }
                Some(inner) => {
                    let bytes = found + self.whole(inner, depth + 1)?;
                    self.sizes.insert(below, bytes);
                }
                None => drop(self.sizes.insert(below, found)),
            }
        }
        Ok(())
    }

    fn whole(&mut self, mut dir: Dir, depth: usize) -> nix::Result<u64> {
        let mut bytes = 0;
        for name in names(&mut dir)? {
            let Some((found, inner)) = self.look(&dir, &name)? else { continue };
            bytes += found;
            if let Some(inner) = inner.filter(|_| depth < DEPTH) {
                bytes += self.whole(inner, depth + 1)?;
            }
        }
        Ok(bytes)
    }

    /// What an entry itself takes, and the directory when it is one; `None` when it does not count.
    fn look(&mut self, dir: &Dir, name: &std::ffi::CStr) -> nix::Result<Option<(u64, Option<Dir>)>> {
        let found = match fstatat(dir.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(e),
        };
        if found.st_dev != self.device
            || found.st_nlink > 1 && !is_dir(&found) && !self.seen.insert(found.st_ino)
        {
            return Ok(None);
        }
        if !is_dir(&found) {
            return Ok(Some((room(&found), None)));
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match Dir::openat(dir.as_fd(), name, flags, Mode::empty()) {
            Ok(inner) => Ok(Some((room(&found), Some(inner)))),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn is_dir(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR
}

fn names(dir: &mut Dir) -> nix::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in dir.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}
