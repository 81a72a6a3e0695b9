//! Volumes: directories that outlive containers.
//!
//! `volumes/<name>/volume.json` describes one, `volumes/<name>/_data` is its content, owned by the
//! container's root. A volume is made in `tmp/` and renamed, so it is there whole or not at all.

use super::containers::Containers;
use super::record::{self, Durability, failed};
use super::unpack::{DIRECTORY, resolve};
use super::{Roots, copy, layers, trash};
use crate::container::Name;
use crate::error::{Error, Kind, Result};
use crate::fork::{Doing, Failure};
use crate::sys::xattr;
use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The volumes of a store.
#[derive(Debug, Clone)]
pub struct Volumes {
    roots: Arc<Roots>,
}

/// A volume; the content of `volume.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The record's form, 1.
    pub version: u32,
    /// Its name.
    pub name: Name,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// Whether it belongs to one container and goes with it (`--rm`, `rm -v`).
    pub anonymous: bool,
    /// User labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Driver options as given.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl Volumes {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Volumes { roots }
    }

    fn dir(&self, name: &Name) -> PathBuf {
        self.roots.data.join("volumes").join(name.as_str())
    }

    /// Makes an empty volume.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the name is taken.
    pub fn create(
        &self,
        name: &Name,
        labels: BTreeMap<String, String>,
        options: BTreeMap<String, String>,
    ) -> Result<Volume> {
        self.make(Volume {
            version: 1,
            name: name.clone(),
            created: Utc::now(),
            anonymous: false,
            labels,
            options,
        })
    }

    /// Makes an empty volume with a random name, for one container.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn create_anonymous(&self) -> Result<Volume> {
        let name: Name = Containers::new_id()?.as_str().parse()?;
        self.make(Volume {
            version: 1,
            name,
            created: Utc::now(),
            anonymous: true,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
        })
    }

    fn make(&self, volume: Volume) -> Result<Volume> {
        let temporary = self.roots.data.join("tmp").join(record::unique());
        let made = self.fill(&temporary, &volume);
        if made.is_err() {
            let _ = trash::remove_path(&temporary);
        }
        made.map(|()| volume)
    }

    fn fill(&self, temporary: &PathBuf, volume: &Volume) -> Result<()> {
        DirBuilder::new().mode(0o700).create(temporary).map_err(|e| failed("create", temporary, e))?;
        layers::make_open_dir(&temporary.join("_data"))?;
        // An anonymous volume is as short-lived as its container, whose start must not wait for the disk.
        let durability = if volume.anonymous { Durability::Volatile } else { Durability::Synced };
        record::replace(&temporary.join("volume.json"), volume, durability)?;
        let target = self.dir(&volume.name);
        match renameat2(AT_FDCWD, temporary, AT_FDCWD, &target, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) if volume.anonymous => Ok(()),
            Ok(()) => target.parent().map_or(Ok(()), record::sync_dir),
            Err(Errno::EEXIST) => {
                Err(Error::new(Kind::Conflict, format!("volume {} exists already", volume.name)))
            }
            Err(e) => Err(failed("create", &target, e.into())),
        }
    }

    /// The volume of this name.
    ///
    /// # Errors
    /// When its record is damaged.
    pub fn get(&self, name: &Name) -> Result<Option<Volume>> {
        record::read(&self.dir(name).join("volume.json"))
    }

    /// The volume of this name, made if missing.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn ensure(&self, name: &Name) -> Result<Volume> {
        if let Some(volume) = self.get(name)? {
            return Ok(volume);
        }
        match self.create(name, BTreeMap::new(), BTreeMap::new()) {
            // Another command made it in between.
            Err(e) if e.kind() == Kind::Conflict => self.get(name)?.ok_or(e),
            other => other,
        }
    }

    /// The directory with the volume's content, absolute.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such volume.
    pub fn path(&self, name: &Name) -> Result<PathBuf> {
        let path = self.dir(name).join("_data");
        if path.is_dir() { Ok(path) } else { Err(unknown(name)) }
    }

    /// All volumes, by name.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Volume>> {
        let dir = self.roots.data.join("volumes");
        let mut all = Vec::new();
        for entry in fs::read_dir(&dir).map_err(|e| failed("read", &dir, e))?.flatten() {
            // One that is removed under our eyes is not listed.
            if let Some(volume) = record::read::<Volume>(&entry.path().join("volume.json"))? {
                all.push(volume);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Takes a volume out of sight; its content is in the trash then. The caller has made sure that no
    /// container uses it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such volume.
    pub fn remove(&self, name: &Name) -> Result<()> {
        let dir = self.dir(name);
        match fs::symlink_metadata(&dir) {
            Ok(_) => trash::discard(&self.roots.data, &dir),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(unknown(name)),
            Err(e) => Err(failed("look at", &dir, e)),
        }
    }
}

fn unknown(name: &Name) -> Error {
    Error::new(Kind::NotFound, format!("volume {name} does not exist"))
}

/// Marks a volume whose first filling did not come to its end.
const FILLING: &CStr = c"user.coracle.filling";

/// Fills a volume at its first use with what the image has at the place where it is mounted. Only an
/// empty one is filled; `path` is resolved inside `source_root`, whatever symlinks the image holds
/// (attack case 34). The volume gets the directory's owner and mode too. Gives whether it was filled.
///
/// # Errors
/// Those of the calls it takes; the volume is empty again then.
pub fn copy_up(
    source_root: BorrowedFd<'_>,
    path: &Path,
    target: BorrowedFd<'_>,
) -> std::result::Result<bool, Failure> {
    fill_once(source_root, path, target).doing("fill the volume at", path)
}

fn fill_once(source_root: BorrowedFd<'_>, path: &Path, target: BorrowedFd<'_>) -> nix::Result<bool> {
    // Two containers may be the first ones at the same moment.
    let lock = Flock::lock(openat(target, ".", DIRECTORY, Mode::empty())?, FlockArg::LockExclusive)
        .map_err(|(_, e)| e)?;
    // The descriptor of a new mount only names it, and takes no owner, mode or attribute.
    let target = lock.as_fd();
    if !trash::names(target)?.is_empty() {
        if xattr::get(target, FILLING)?.is_none() {
            return Ok(false);
        }
        trash::empty_tree(target)?;
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let source = match resolve(source_root, path.as_os_str().as_bytes(), flags) {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(false),
        other => other?,
    };
    // Where the file system has no such attributes, a filling cut short is not noticed.
    let marked = xattr::set(target, FILLING, b"y").is_ok();
    let copied = copy::tree(source.as_fd(), target);
    if copied.is_err() {
        trash::empty_tree(target)?;
    }
    if marked {
        xattr::remove(target, FILLING)?;
    }
    copied.map(|()| true)
}

#[cfg(test)]
mod tests;
