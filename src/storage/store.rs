//! A store: its parts, and opening it.

use super::blobs::{self, Blobs};
use super::build::BuildCache;
use super::containers::Containers;
use super::events::Events;
use super::images::{Aliases, Images};
use super::layers::Layers;
use super::lock::{self, ExclusiveLock, MakingLock, SharedLock, UpdatingLock};
use super::networks::Networks;
use super::place::{self, Place};
use super::pods::Pods;
use super::record::{Durability, failed};
use super::roots::{DIRECTORIES, Roots};
use super::scratch::Scratch;
use super::secrets::Secrets;
use super::version::{FORMAT, Version, check_format};
use super::volumes::Volumes;
use super::{id_map, rootfs};
use crate::error::{Error, Kind, Result};
use crate::sys::volume;
use nix::errno::Errno;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The bytes under one data root.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) roots: Arc<Roots>,
    blobs: Blobs,
    images: Images,
    layers: Layers,
    build_cache: BuildCache,
    volumes: Volumes,
    networks: Networks,
    secrets: Secrets,
    containers: Containers,
    pods: Pods,
    events: Events,
    overlay: rootfs::Overlay,
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
        let containers = Containers::new(data, runtime);
        Ok(Store {
            blobs: Blobs::new(roots.clone()),
            images: Images::new(roots.clone()),
            layers: Layers::new(roots.clone()),
            build_cache: BuildCache::new(roots.clone()),
            volumes: Volumes::new(roots.clone()),
            networks: Networks::new(roots.clone()),
            secrets: Secrets::new(roots.clone()),
            pods: Pods::new(roots.clone(), containers.clone()),
            containers,
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

    /// The same store, where short names may be aliases of others.
    #[must_use]
    pub fn with_aliases(self, aliases: Aliases) -> Store {
        Store { images: self.images.with_aliases(aliases), ..self }
    }

    /// Which overlay driver combines layers.
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

    /// What builds leave for later builds.
    pub fn build_cache(&self) -> &BuildCache {
        &self.build_cache
    }

    /// Volumes by name.
    pub fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    /// Pods by name and id.
    pub fn pods(&self) -> &Pods {
        &self.pods
    }

    /// Networks by name.
    pub fn networks(&self) -> &Networks {
        &self.networks
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

    /// A directory for something that is being made; it goes when this process does, unless it was placed.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn scratch(&self) -> Result<Scratch> {
        Scratch::below(&self.roots.data)
    }

    /// The same store with its containers, their sockets and events elsewhere: in a directory of its own, where nobody
    /// lists them, and with which they go, however their monitors end.
    #[must_use]
    pub fn with_containers_in(&self, scratch: &Scratch) -> Store {
        Store {
            containers: Containers::new(scratch.path(), scratch.path()),
            events: Events::new(scratch.path()),
            ..self.clone()
        }
    }

    /// Holds off garbage collection while a reference to something stored is being made: a container
    /// that names layers, an image that names blobs. Hold it for moments, never across a run.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn shared(&self) -> Result<SharedLock> {
        lock::shared(&self.roots.data)
    }

    /// Says that blobs and layers are being made that nothing names yet. Held for as long as that takes.
    ///
    /// # Errors
    /// When `tmp/` cannot be opened.
    pub fn making(&self) -> Result<MakingLock> {
        lock::making(&self.roots.data)
    }

    /// Keeps others from updating containers. Held for as long as that takes.
    ///
    /// # Errors
    /// `Conflict` when another command is at it.
    pub fn updating(&self) -> Result<UpdatingLock> {
        lock::updating(&self.roots.data)
    }

    /// Keeps everyone else from making references, to collect garbage. Waits ten seconds at most.
    ///
    /// # Errors
    /// [`Kind::Storage`] when others keep using the store.
    pub fn exclusive(&self) -> Result<ExclusiveLock> {
        lock::exclusive(&self.roots.data)
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

/// Another store to take images from; returns its path without links.
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

/// Adds the hint for a place that cannot hold a store.
fn elsewhere(error: Error) -> Error {
    let known = !error.hints().is_empty();
    if known { error } else { error.hint("Name another place: coracle --root DIR ...") }
}

/// Refuses a place that cannot hold a store; a missing one before anything is created there.
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
        format!("{} is not a directory that only this account can enter", runtime.display()),
    )
    .hint("Remove it or chmod it to 0700, or name another place: coracle --runroot DIR ..."))
}
