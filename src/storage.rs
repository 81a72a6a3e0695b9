//! Everything that owns bytes under the data root.
//!
//! Theory of operation. A [`Store`] is a handful of paths: opening one reads the `version` record and
//! nothing else. Below the data root:
//!
//! ```text
//! version       format of the store and the id map its layers were made with
//! lock          taken shared for moments while references are made, exclusively to collect garbage
//! oci/          an OCI image layout; index.json is derived from refs/ and images/
//! refs/<hash>   one small record per reference; the hash is of its canonical form
//! images/<id>   one small record per image
//! layers/<id>/  fs/ is the unpacked tree, layer.json and owners describe it; present means complete
//! volumes/ secrets/ containers/ names/
//! events/       what happened, the file `current` being appended to
//! tmp/          what is being made now; trash/  what is being deleted now
//! damaged/      what `system check --repair` could not mend and has put out of the way
//! ```
//!
//! Whatever becomes visible does so by one rename of something complete, so a process may be killed at
//! any instant. Paths below the data root are built from digests, ids and names only, which are types
//! that cannot hold a separator, and opened through no link ([`place`]); what lies inside a layer or
//! volume is reached by descriptors.

mod access_list;
pub mod archive;
pub mod blobs;
pub mod compare;
pub mod containers;
mod copy;
pub mod events;
pub mod fuse;
mod holes;
mod id_map;
pub mod images;
pub mod layers;
pub mod measure;
mod misplaced;
pub mod pack;
mod place;
pub mod record;
mod reset;
pub mod rootfs;
pub mod secrets;
pub mod trash;
pub mod unpack;
pub mod volumes;
mod whiteout;

use crate::error::{Error, Kind, Result};
use crate::sys::volume;
use blobs::Blobs;
use containers::Containers;
use events::Events;
use images::Images;
use layers::Layers;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use place::Place;
use record::{Durability, failed, open_regular};
use secrets::Secrets;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use volumes::Volumes;

/// The store format this program writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// How long garbage collection waits for others to leave their moments with the store.
const EXCLUSIVE_PATIENCE: Duration = Duration::from_secs(2);

/// The directories below the data root, each mode 0700.
const DIRECTORIES: [&str; 11] = [
    "oci",
    "oci/blobs",
    "oci/blobs/sha256",
    "refs",
    "images",
    "layers",
    "containers",
    "names",
    "volumes",
    "trash",
    "tmp",
];

/// Where a store's parts are.
#[derive(Debug)]
struct Roots {
    /// Without links on the way.
    data: PathBuf,
    /// The same as the user calls it.
    given: PathBuf,
    runtime: PathBuf,
    /// Further stores, read-only: images and layers there are used in place.
    image_stores: Vec<PathBuf>,
}

impl Roots {
    /// The data roots to read images from: our own, then the additional ones.
    fn readable(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.data.as_path()).chain(self.image_stores.iter().map(PathBuf::as_path))
    }
}

/// The bytes under one data root.
#[derive(Debug, Clone)]
pub struct Store {
    roots: Arc<Roots>,
    blobs: Blobs,
    images: Images,
    layers: Layers,
    volumes: Volumes,
    secrets: Secrets,
    containers: Containers,
    events: Events,
    overlay: rootfs::Overlay,
}

/// The content of `version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    /// The store's format, [`FORMAT`].
    format: u32,
    /// The id map its layers were made with, once there is a layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_map: Option<id_map::IdRanges>,
}

impl Store {
    /// Opens the store, making its directories on first use. `data`, `runtime` and `image_stores` are
    /// absolute. Nothing is scanned.
    ///
    /// # Errors
    /// When the store is of a newer format, or the place cannot hold one (read-only, full, a network
    /// file system).
    pub fn open(data: &Path, runtime: &Path, image_stores: &[PathBuf]) -> Result<Store> {
        check_file_system(data)?;
        let given = data.to_owned();
        let root = match place::real(data)? {
            None => make_root(data)?,
            Some(root) => root,
        };
        let data = root.path();
        match root.read::<Version>("version")? {
            Some(version) => check_format(data, version.format)?,
            None => initialise(&root)?,
        }
        prepare_runtime(runtime)?;
        let image_stores = image_stores.iter().map(|other| image_store(other)).collect::<Result<_>>()?;
        let roots =
            Arc::new(Roots { data: data.to_owned(), given, runtime: runtime.to_owned(), image_stores });
        Ok(Store {
            blobs: Blobs::new(roots.clone()),
            images: Images::new(roots.clone()),
            layers: Layers::new(roots.clone()),
            volumes: Volumes::new(roots.clone()),
            secrets: Secrets::new(roots.clone()),
            containers: Containers::new(data, runtime),
            events: Events::new(data),
            overlay: rootfs::Overlay::default(),
            roots,
        })
    }

    /// The same store, with layers laid over each other as it is said here.
    #[must_use]
    pub fn overlaid_by(self, overlay: rootfs::Overlay) -> Store {
        Store { overlay, ..self }
    }

    /// Who lays layers over each other.
    pub fn overlay(&self) -> rootfs::Overlay {
        self.overlay
    }

    /// The data root, absolute.
    pub fn data(&self) -> &Path {
        &self.roots.data
    }

    /// The directory for volatile state, absolute, mode 0700.
    pub fn runtime(&self) -> &Path {
        &self.roots.runtime
    }

    /// Manifests, configurations and compressed layers by digest.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Images by name and id.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Unpacked layers by chain id.
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// Volumes by name.
    pub fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    /// What happened.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Secrets by name and id.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Containers by name and id.
    pub fn containers(&self) -> &Containers {
        &self.containers
    }

    /// Holds off garbage collection while a reference to something stored is being made: a container
    /// that names layers, an image that names blobs. Hold it for moments, never across a run.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn shared(&self) -> Result<SharedLock> {
        let file = open_lock(&self.roots.data, "lock")?;
        file.lock_shared().map_err(|e| failed("lock", &self.roots.data.join("lock"), e))?;
        Ok(SharedLock { _file: file })
    }

    /// Keeps everyone else from making references, to collect garbage. Waits two seconds at most.
    ///
    /// # Errors
    /// [`Kind::Storage`] when others keep using the store.
    pub fn exclusive(&self) -> Result<ExclusiveLock> {
        let path = self.roots.data.join("lock");
        let file = open_lock(&self.roots.data, "lock")?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(ExclusiveLock { _file: file }),
                Err(fs::TryLockError::WouldBlock) if start.elapsed() < EXCLUSIVE_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    return Err(Error::new(Kind::Storage, "the store is in use by other commands")
                        .hint("Try again when the running pulls are done."));
                }
                Err(fs::TryLockError::Error(e)) => return Err(failed("lock", &path, e)),
            }
        }
    }

    /// Compares the id map of this process with the one the layers were made with; records it when
    /// there is none yet. To be called inside the user namespace.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when files in the store belong to ids that now mean something else.
    pub fn check_id_map(&self) -> Result<()> {
        id_map::check(&self.roots, true)
    }

    /// As [`Store::check_id_map`], but writes nothing.
    ///
    /// # Errors
    /// As there.
    pub fn verify_id_map(&self) -> Result<()> {
        id_map::check(&self.roots, false)
    }
}

/// Proof that garbage collection waits; released on drop.
#[derive(Debug)]
pub struct SharedLock {
    _file: File,
}

/// Proof that nobody else makes references; released on drop.
#[derive(Debug)]
pub struct ExclusiveLock {
    _file: File,
}

/// Opens a lock file at the top of the store.
fn open_lock(data: &Path, name: &str) -> Result<File> {
    // Read-only is enough for flock(2), and works on a store that is mounted read-only.
    let flags = OFlag::O_RDONLY | OFlag::O_CREAT;
    open_regular(Place::open(data)?.as_fd(), name, flags).map_err(|e| {
        let error = failed("open", &data.join(name), e);
        error.hint(
            "Something else is in the place of a lock file? Set it aside: coracle system check --repair",
        )
    })
}

/// Another store to take images from; gives its path without links.
fn image_store(other: &Path) -> Result<PathBuf> {
    let missing = || {
        Error::new(Kind::Usage, format!("{} is not an image store", other.display()))
            .hint("Name the data root of another coracle: --storage-opt additionalimagestore=DIR")
    };
    let found = place::real(other)?.ok_or_else(missing)?;
    let version: Version = found.read("version")?.ok_or_else(missing)?;
    check_format(other, version.format)?;
    Ok(found.path().to_owned())
}

fn check_format(data: &Path, format: u32) -> Result<()> {
    if format <= FORMAT {
        return Ok(());
    }
    Err(Error::new(
        Kind::Storage,
        format!("the store at {} has format {format}, this coracle knows up to {FORMAT}", data.display()),
    )
    .hint("A newer coracle has used it. Update this one, or use another place: coracle --root DIR ..."))
}

/// Makes the data root.
fn make_root(data: &Path) -> Result<Place> {
    match DirBuilder::new().recursive(true).mode(0o700).create(data) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(elsewhere(failed("create", data, e)));
        }
        _ => {}
    }
    place::real(data)?.ok_or_else(|| elsewhere(failed("create", data, Errno::ENOENT.into())))
}

/// Makes the directories of a new store; `version` comes last, so an interrupted attempt is repeated.
fn initialise(root: &Place) -> Result<()> {
    for name in DIRECTORIES {
        Place::make(&root.path().join(name)).map_err(elsewhere)?;
    }
    blobs::initialise(root.path())?;
    let version = Version { format: FORMAT, id_map: None };
    root.replace("version", &version, Durability::Synced)
}

/// Adds the cure of a place that cannot hold a store.
fn elsewhere(error: Error) -> Error {
    let known = !error.hints().is_empty();
    if known { error } else { error.hint("Name another place: coracle --root DIR ...") }
}

/// Refuses a place that cannot hold a store; one that does not exist yet, before anything is made there.
fn check_file_system(data: &Path) -> Result<()> {
    let place = data.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let unfit = volume::unfit(place).map_err(|e| failed("look at", place, e.into()))?;
    let Some(name) = unfit else { return Ok(()) };
    Err(Error::new(
        Kind::Host,
        format!("{} is on {name}, which cannot hold files of other ids", data.display()),
    )
    .hint("Name a place on a local disk: coracle --root /var/tmp/$USER/coracle ..., or set CORACLE_ROOT."))
}

/// The runtime directory may be under /tmp, where anyone could have made it first (attack case 54).
fn prepare_runtime(runtime: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(runtime);
    made.map_err(|e| {
        let error = Error::new(Kind::Storage, format!("create {}", runtime.display())).caused_by(e);
        error.hint("Name a place for volatile state that can be written: coracle --runroot DIR ...")
    })?;
    let found = fs::symlink_metadata(runtime).map_err(|e| failed("look at", runtime, e))?;
    if found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw() && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::new(
        Kind::Host,
        format!("{} is not a directory that only this account may enter", runtime.display()),
    )
    .hint("Remove it or chmod it to 0700, or name another place: coracle --runroot DIR ..."))
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
