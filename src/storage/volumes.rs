//! Volumes: directories that outlive containers.
//!
//! `volumes/<name>/volume.json` describes a volume, and `volumes/<name>/_data` contains its data, owned by the
//! container's root. A volume is created in `tmp/` and renamed, so it exists completely or not at all.

use super::containers::Containers;
use super::events::{Action, Event, Events};
use super::lock::ExclusiveLock;
use super::place::{self, Place};
use super::record::{self, Durability, failed, warn_once};
use super::roots::Roots;
use super::scratch::Scratch;
use super::unpack::{DIRECTORY, resolve};
use super::{access_list, copy, trash, tree};
use crate::container::Name;
use crate::error::{Error, Kind, Result, phrases};
use crate::failpoint;
use crate::fork::{Doing, Failure};
use crate::sys::xattr;
use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::{Gid, Uid, fchown};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod backing;
mod users;
pub use backing::{Backing, Medium};
pub use users::{Users, remove_anonymous};

/// Where volumes are, below the data root.
const VOLUMES: &str = "volumes";
/// The record of a volume in its directory.
const RECORD: &str = "volume.json";
/// The content of a volume in its directory.
const DATA: &str = "_data";

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

/// The label by which docker knows anonymous volumes; its value is empty.
const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

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

    /// Its labels as docker has them: an anonymous one has a label that says so.
    pub fn dockers_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        if self.anonymous {
            labels.entry(ANONYMOUS_LABEL.to_owned()).or_default();
        }
        labels
    }

    /// What its options mean.
    ///
    /// # Errors
    /// [`Kind::Usage`] for options that mean nothing or cannot be had.
    pub fn backing(&self) -> Result<Backing> {
        Backing::parse(&self.options)
    }

    /// Whether it is mounted for its users, instead of being a directory that is only bound.
    pub fn has_mount_of_its_own(&self) -> bool {
        self.backing().is_ok_and(|backing| backing.medium != Medium::Directory)
    }
}

impl Volumes {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Volumes { roots }
    }

    fn place(&self) -> Result<Place> {
        Place::open(&self.roots.data.join(VOLUMES))
    }

    fn dir(&self, name: &Name) -> PathBuf {
        self.roots.data.join(VOLUMES).join(name.as_str())
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
        self.fill(Scratch::below(&self.roots.data)?, &volume, &backing)?;
        Events::new(&self.roots.data).emit(Event::volume(Action::Create, volume.name.as_str()));
        Ok(volume)
    }

    /// Whole in `tmp/` first: the rename into place is the one step that makes a volume.
    fn fill(&self, mut made: Scratch, volume: &Volume, backing: &Backing) -> Result<()> {
        let data = access_list::make_open_dir(made.home(), DATA)?;
        if backing.has_owner() {
            let (uid, gid) = (backing.uid.unwrap_or(0), backing.gid.unwrap_or(0));
            fchown(&data, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(|e| failed("change the owner of", data.path(), e.into()))?;
        }
        // An anonymous volume is as short-lived as its container, whose start must not wait for the disk.
        let durability = if volume.anonymous { Durability::Volatile } else { Durability::Synced };
        made.home().replace(RECORD, volume, durability)?;
        failpoint::reach("volume.filled");
        let place = self.place()?;
        let name = volume.name.as_str();
        match made.place_new(&place, name) {
            Ok(()) => {
                failpoint::reach("volume.placed");
                if volume.anonymous { Ok(()) } else { place.sync() }
            }
            Err(Errno::EEXIST) => Err(Error::new(
                Kind::Conflict,
                format!("volume with name {name} already exists: volume already exists"),
            )),
            Err(e) => Err(failed("create", &self.dir(&volume.name), e.into())),
        }
    }

    /// The volume of this name.
    ///
    /// # Errors
    /// When its record is damaged.
    pub fn get(&self, name: &Name) -> Result<Option<Volume>> {
        match Place::find(&self.dir(name))? {
            Some(dir) => dir.read(RECORD),
            None => Ok(None),
        }
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
        Place::open(&self.dir(&volume.name))?.replace(RECORD, &volume, Durability::Synced)
    }

    /// Writes the record of a volume that was created without syncing to disk. One that is gone is none of
    /// its business.
    ///
    /// # Errors
    /// When the disk reports one.
    pub fn keep(&self, name: &Name) -> Result<()> {
        let Some(dir) = Place::find(&self.dir(name))? else { return Ok(()) };
        // In place: others may be changing it.
        let synced =
            record::open_regular(dir.as_fd(), RECORD, OFlag::O_RDONLY).and_then(|file| file.sync_all());
        synced.map_err(|e| failed("sync", &dir.path().join(RECORD), e))?;
        dir.sync()?;
        self.place()?.sync()
    }

    /// Finds a volume by its name or a unique beginning of it.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Usage`] when several names begin so.
    pub fn find(&self, text: &str) -> Result<Volume> {
        let unknown = || phrases::no_volume(text).hint("List the volumes: coracle volume ls");
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

    /// Whether the first container that mounts the volume fills it: it appears to be empty.
    pub fn needs_copy_up(&self, volume: &Volume) -> bool {
        let data = || place::directory(&self.dir(&volume.name).join(DATA));
        let empty = || data().and_then(|data| tree::names(data.as_fd())).is_ok_and(|names| names.is_empty());
        volume.backing().is_ok_and(|b| b.copy) && empty()
    }

    /// The directory with the volume's content, absolute.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such volume.
    pub fn path(&self, name: &Name) -> Result<PathBuf> {
        let path = self.dir(name).join(DATA);
        // By its place alone: it may be closed to us outside of the user namespace.
        match place::held(&path) {
            Ok(_) => Ok(path),
            Err(Errno::ENOENT) => Err(unknown(name)),
            Err(e) => Err(failed("open", &path, e.into())),
        }
    }

    /// Locks the volume while it is filled: two containers may be the first at the same time.
    /// The lock is on the directory that holds `_data`, which no container can reach: one that could, would
    /// hold up the start of every other container with the volume.
    ///
    /// # Errors
    /// When there is no such volume.
    pub fn fill_alone(&self, name: &Name) -> Result<Filling> {
        let dir = self.dir(name);
        let opened = Place::open(&dir)?.as_fd().try_clone_to_owned().map_err(|e| failed("lock", &dir, e))?;
        match Flock::lock(opened, FlockArg::LockExclusive) {
            Ok(lock) => Ok(Filling { _lock: lock }),
            Err((_, e)) => Err(failed("lock", &dir, e.into())),
        }
    }

    /// All volumes, by name. Of one whose record cannot be read a warning tells.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Volume>> {
        let mut all = Vec::new();
        for name in self.place()?.names()? {
            let Ok(name) = name.parse::<Name>() else { continue };
            match self.get(&name) {
                // One that is removed meanwhile is not listed.
                Ok(found) => all.extend(found),
                Err(error) => warn_once(
                    &format!("volume {name}"),
                    &format!(
                        "volume {name} is left alone: {}. Repair it: coracle system check --repair; or remove it: coracle volume rm {name}",
                        error.in_one_line()
                    ),
                ),
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The name of the volume that is meant, which may be one whose record cannot be read.
    ///
    /// # Errors
    /// As [`Volumes::find`].
    pub fn find_name(&self, text: &str) -> Result<Name> {
        match text.parse::<Name>() {
            Ok(name) if self.get(&name).is_err() => Ok(name),
            _ => self.find(text).map(|volume| volume.name),
        }
    }

    /// Entries that are not volumes, or have unreadable records: their names, and what is wrong.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn damaged(&self) -> Result<Vec<(String, String)>> {
        let place = self.place()?;
        let mut all = Vec::new();
        for name in place.names()? {
            let Some(found) = place.look(&name)? else { continue };
            let what = match name.parse::<Name>() {
                _ if !place::is(&found, SFlag::S_IFDIR) => "it is not a directory".to_owned(),
                Err(_) => "its name is not valid for a volume".to_owned(),
                Ok(name) => match self.get(&name) {
                    Err(error) => error.in_one_line(),
                    Ok(None) if place.look(name.as_str())?.is_some() => "it has no volume.json".to_owned(),
                    Ok(_) => continue,
                },
            };
            all.push((name, what));
        }
        Ok(all)
    }

    /// Mends a damaged volume; says what was done. One with content gets a fresh record, by which it is a plain
    /// volume without labels; everything else is moved aside intact.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn mend(&self, _lock: &ExclusiveLock, name: &str) -> Result<String> {
        let place = self.place()?;
        if !self.damaged()?.iter().any(|(still, _)| still == name) {
            return Ok("is whole again".to_owned());
        }
        let volume = name.parse::<Name>().ok().filter(|name| {
            let data = || place::directory(&self.dir(name).join(DATA));
            // What is closed to us holds what somebody of the container's has put there.
            match data().and_then(|data| tree::names(data.as_fd())) {
                Ok(names) => !names.is_empty(),
                Err(e) => e == Errno::EACCES,
            }
        });
        let Some(volume) = volume else {
            return place
                .set_aside(name, &self.roots.data)
                .map(|to| format!("set aside as {}", to.display()));
        };
        let dir = Place::open(&self.dir(&volume))?;
        if dir.look(RECORD)?.is_some() {
            dir.set_aside(RECORD, &self.roots.data)?;
        }
        dir.replace(RECORD, &Volume::new(volume, false), Durability::Synced)?;
        Ok("has a fresh record, without labels and options".to_owned())
    }

    /// Takes a volume out of sight; its content is in the trash then. The caller has made sure that no
    /// container uses it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such volume.
    pub fn remove(&self, name: &Name) -> Result<()> {
        if !trash::discard(&self.roots.data, &self.place()?, name.as_str())? {
            return Err(unknown(name));
        }
        crate::failpoint::reach("volume.discarded");
        Events::new(&self.roots.data).emit(Event::volume(Action::Remove, name.as_str()));
        Ok(())
    }
}

/// Proof that nobody else fills the volume; released on drop.
#[derive(Debug)]
pub struct Filling {
    _lock: Flock<OwnedFd>,
}

fn unknown(name: &Name) -> Error {
    phrases::no_volume(name.as_str()).hint("List the volumes: coracle volume ls")
}

/// Marks a volume whose first filling did not come to its end.
const FILLING: &CStr = c"user.coracle.filling";

/// Fills a volume at its first use with what the image has at the place where it is mounted. Only an
/// empty one is filled; `path` is resolved inside `source_root`, whatever symlinks the image holds
/// (attack case 34). The volume gets the directory's owner and mode too. Returns whether it was filled. Where
/// others may be about to do the same the caller holds a [`Filling`].
///
/// # Errors
/// Those of the calls it takes; the volume is empty again then.
pub fn copy_up(
    source_root: BorrowedFd<'_>,
    path: &Path,
    target: BorrowedFd<'_>,
) -> std::result::Result<bool, Failure> {
    match fill_once(source_root, path, target) {
        Err(Errno::EAGAIN) => {
            Err(Failure::other("fill the volume at", path.to_string_lossy(), record::LEASED_BELOW))
        }
        other => other.doing("fill the volume at", path),
    }
}

fn fill_once(source_root: BorrowedFd<'_>, path: &Path, target: BorrowedFd<'_>) -> nix::Result<bool> {
    // The descriptor of a new mount only names it, and takes no owner, mode or attribute.
    let opened = openat(target, ".", DIRECTORY, Mode::empty())?;
    let target = opened.as_fd();
    if !tree::names(target)?.is_empty() {
        if xattr::get(target, FILLING)?.is_none() {
            return Ok(false);
        }
        tree::empty_tree(target)?;
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let source = match resolve(source_root, path.as_os_str().as_bytes(), flags) {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(false),
        other => other?,
    };
    // Where the file system has no such attributes, a filling cut short is not noticed.
    let marked = xattr::set(target, FILLING, b"y").is_ok();
    failpoint::reach("volume.fill");
    let copied = copy::tree(source.as_fd(), target);
    if copied.is_err() {
        tree::empty_tree(target)?;
    }
    if marked {
        xattr::remove(target, FILLING)?;
    }
    copied.map(|()| true)
}

#[cfg(test)]
mod tests;
