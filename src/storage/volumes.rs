//! Volumes: directories that outlive containers.
//!
//! `volumes/<name>/volume.json` describes one, `volumes/<name>/_data` is its content, owned by the
//! container's root. A volume is made in `tmp/` and renamed, so it is there whole or not at all.

use super::containers::Containers;
use super::events::{Action, Event, Events};
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
use std::os::unix::fs::{DirBuilderExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod backing;
pub use backing::{Backing, Medium};

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
    /// What keeps its content: `local`.
    #[serde(default = "local")]
    pub driver: String,
    /// An anonymous volume that a second container has been given: whoever removes the first one has to
    /// look for others before the volume goes too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// The driver that every volume has.
pub const LOCAL: &str = "local";

fn local() -> String {
    LOCAL.to_owned()
}

impl Volume {
    /// A volume that does not exist yet.
    pub fn new(name: Name, anonymous: bool) -> Volume {
        Volume {
            version: 1,
            name,
            created: Utc::now(),
            anonymous,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            driver: local(),
            shared: false,
        }
    }

    /// What its options mean.
    ///
    /// # Errors
    /// [`Kind::Usage`] for options that mean nothing or cannot be had.
    pub fn backing(&self) -> Result<Backing> {
        Backing::parse(&self.options)
    }
}

impl Volumes {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Volumes { roots }
    }

    fn dir(&self, name: &Name) -> PathBuf {
        self.roots.data.join("volumes").join(name.as_str())
    }

    /// A name that no volume has: 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the kernel has no random bytes.
    pub fn unused_name() -> Result<Name> {
        Containers::new_id()?.as_str().parse()
    }

    /// Makes an empty volume. One whose options name an owner has to be made inside the user namespace.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the name is taken; [`Kind::Usage`] for options that cannot be had.
    pub fn create(&self, volume: Volume) -> Result<Volume> {
        let backing = volume.backing()?;
        let temporary = self.roots.data.join("tmp").join(record::unique());
        let made = self.fill(&temporary, &volume, &backing);
        if made.is_err() {
            let _ = trash::remove_path(&temporary);
        }
        made?;
        Events::new(&self.roots.data).emit(Event::volume(Action::Create, volume.name.as_str()));
        Ok(volume)
    }

    fn fill(&self, temporary: &PathBuf, volume: &Volume, backing: &Backing) -> Result<()> {
        DirBuilder::new().mode(0o700).create(temporary).map_err(|e| failed("create", temporary, e))?;
        let data = temporary.join("_data");
        layers::make_open_dir(&data)?;
        if backing.has_owner() {
            let (uid, gid) = (backing.uid.unwrap_or(0), backing.gid.unwrap_or(0));
            lchown(&data, Some(uid), Some(gid)).map_err(|e| failed("change the owner of", &data, e))?;
        }
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
    pub fn ensure(&self, name: &Name, anonymous: bool) -> Result<Volume> {
        if let Some(volume) = self.get(name)? {
            return Ok(volume);
        }
        match self.create(Volume::new(name.clone(), anonymous)) {
            // Another command made it in between.
            Err(e) if e.kind() == Kind::Conflict => self.get(name)?.ok_or(e),
            other => other,
        }
    }

    /// Notes that an anonymous volume serves another container too; see [`Volume::shared`].
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn share(&self, mut volume: Volume) -> Result<()> {
        volume.shared = true;
        record::replace(&self.dir(&volume.name).join("volume.json"), &volume, Durability::Volatile)
    }

    /// Finds a volume by its name or a unique beginning of it.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Usage`] when several names begin so.
    pub fn find(&self, text: &str) -> Result<Volume> {
        let unknown = || {
            Error::new(Kind::NotFound, format!("no volume with name {text:?}"))
                .hint("List the volumes: coracle volume ls")
        };
        let name: Name = text.parse().map_err(|_| unknown())?;
        if let Some(volume) = self.get(&name)? {
            return Ok(volume);
        }
        let mut found: Vec<Volume> =
            self.list()?.into_iter().filter(|v| v.name.as_str().starts_with(text)).collect();
        match (found.pop(), found.len()) {
            (None, _) => Err(unknown()),
            (Some(volume), 0) => Ok(volume),
            (Some(_), others) => {
                Err(Error::new(Kind::Usage, format!("{} volumes begin with {text:?}", others + 1))
                    .hint("Give more of the name; list them with: coracle volume ls"))
            }
        }
    }

    /// Whether the first container that mounts the volume fills it: it is empty, as far as can be told.
    pub fn needs_copy_up(&self, volume: &Volume) -> bool {
        let empty = |dir: PathBuf| fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        volume.backing().is_ok_and(|b| b.copy) && empty(self.dir(&volume.name).join("_data"))
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
            Ok(_) => {
                trash::discard(&self.roots.data, &dir)?;
                Events::new(&self.roots.data).emit(Event::volume(Action::Remove, name.as_str()));
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(unknown(name)),
            Err(e) => Err(failed("look at", &dir, e)),
        }
    }
}

fn unknown(name: &Name) -> Error {
    Error::new(Kind::NotFound, format!("volume {name} does not exist"))
        .hint("List the volumes: coracle volume ls")
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
