//! The layers of a container's overlays: those of its root, and those of mounted images.
//!
//! They are used directly from the store or, for a container with its own id map, through an id-shifting FUSE
//! server, which lives as long as its mounts.

use crate::fork::{Doing, Failure};
use crate::image::ChainId;
use crate::runtime::failure::storage_failure;
use crate::spec::{ContainerSpec, MountSource, RootSpec};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::fuse::shift::Shifted;
use crate::storage::rootfs::Overlay;
use nix::mount::{MntFlags, umount2};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where each layer is.
#[derive(Debug)]
pub(in crate::runtime) struct Layers {
    places: BTreeMap<ChainId, PathBuf>,
    overlay: Overlay,
}

impl Layers {
    /// Finds every layer of a plan; the caller owns its mount namespace.
    ///
    /// # Errors
    /// A layer that is missing, ids that have changed, a server that cannot be started.
    pub(in crate::runtime) fn open(
        store: &Store,
        dir: &ContainerDir,
        plan: &ContainerSpec,
    ) -> Result<Layers, Failure> {
        let of_root = match &plan.root {
            RootSpec::Layers(chain) => chain.as_slice(),
            _ => &[],
        };
        let of_images = plan.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Image { layers, .. } => Some(layers.as_slice()),
            _ => None,
        });
        let mut places = BTreeMap::new();
        for id in of_images.chain([of_root]).flatten() {
            let found = store.layers().path(id);
            let found = found.map_err(|e| storage_failure("find layers of", plan.id.short(), &e))?;
            places.insert(id.clone(), found);
        }
        if !places.is_empty() {
            // Files of the layers would belong to strangers.
            let failed = |e| storage_failure("use the layers of", plan.id.short(), &e);
            store.verify_id_map().map_err(|e| Failure::below(&e).cloned().unwrap_or_else(|| failed(e)))?;
        }
        let mut layers = Layers { places, overlay: store.overlay() };
        if plan.ids.is_shifted() {
            layers.shift(&dir.lower(), plan)?;
        }
        Ok(layers)
    }

    /// Has them shown under the container's ids.
    fn shift(&mut self, place: &Path, plan: &ContainerSpec) -> Result<(), Failure> {
        match fs::DirBuilder::new().mode(0o700).create(place) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => other.doing("make directory", place)?,
        }
        let found: Vec<PathBuf> = self.places.values().cloned().collect();
        let server = Shifted::mount(&found, &plan.ids, place)?;
        for (shown, seen) in self.places.values_mut().zip(server.directories()) {
            *shown = seen;
        }
        Ok(())
    }

    /// The directories of a chain of layers.
    ///
    /// # Errors
    /// For a layer that is not of the plan these were opened for.
    pub(super) fn of(&self, chain: &[ChainId]) -> Result<Vec<PathBuf>, Failure> {
        let find = |id: &ChainId| self.places.get(id).cloned();
        let found: Option<Vec<PathBuf>> = chain.iter().map(find).collect();
        found.ok_or_else(|| Failure::other("find", "layers", "they are of another container"))
    }

    /// Which overlay driver combines them.
    pub(super) fn overlay(&self) -> Overlay {
        self.overlay
    }
}

/// Unmounts what [`Layers`] mounted below a container's directory, which is or was here.
pub(super) fn release(plan: &ContainerSpec, container: &Path) {
    if plan.ids.is_shifted() {
        let _ = umount2(&container.join("lower"), MntFlags::MNT_DETACH);
    }
}
