//! Disk usage of images, containers, volumes and the build cache.

use super::containers;
use crate::error::Result;
use crate::image::{ChainId, Digest};
use crate::spec::{MountSource, RootSpec};
use crate::storage::Store;
use crate::storage::build::Entry;
use crate::storage::containers::{Summary, Unreadable};
use crate::storage::images::Listed;
use crate::storage::measure::{self, Sizes};
use crate::storage::volumes::Users;
use crate::userns;
use std::collections::{BTreeMap, BTreeSet};

/// [`measure::data_root`], in the user namespace where that is needed.
///
/// # Errors
/// When a directory cannot be read.
pub fn sizes(store: &Store) -> Result<Sizes> {
    match measure::data_root(store) {
        Ok(sizes) => Ok(sizes),
        // Directories of other ids are closed to us, but not to us inside.
        Err(_) => userns::in_child(store.runtime(), &[], || measure::data_root(store)),
    }
}

/// Does some work that removes things, empties the trash and tells how many bytes less are taken. The work is told what
/// each directory of the store takes before.
///
/// # Errors
/// Those of the work; when the store cannot be measured.
pub fn measured<T>(store: &Store, work: impl FnOnce(&Sizes) -> Result<T>) -> Result<(T, u64)> {
    let before = sizes(store)?;
    let done = work(&before)?;
    containers::sweep(store)?;
    let after: u64 = sizes(store)?.values().sum();
    // What running containers write meanwhile must not make this negative.
    Ok((done, before.values().sum::<u64>().saturating_sub(after)))
}

/// An image with what it is made of, as paths of [`Sizes`].
#[derive(Debug)]
pub struct ImageUsage {
    /// The image.
    pub listed: Listed,
    /// How many containers use it.
    pub users: usize,
    parts: BTreeSet<String>,
}

/// The name of what builds have left.
pub const BUILD_CACHE: &str = "Build Cache";

/// The name of what is of no other kind.
pub const OTHER: &str = "Other";

/// The disk usage of one kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// What it is called.
    pub name: &'static str,
    /// How many there are.
    pub total: usize,
    /// How many of them are used, or run.
    pub active: usize,
    /// Bytes on the disk.
    pub size: u64,
    /// Bytes that removing what is not used would free.
    pub reclaimable: u64,
}

/// How much room everything takes. All sizes together are what du(1) says of the data root.
#[derive(Debug)]
pub struct Usage {
    sizes: Sizes,
    /// The images.
    pub images: Vec<ImageUsage>,
    /// The containers.
    pub containers: Vec<Summary>,
    /// Named volumes of each container.
    volumes: BTreeMap<String, usize>,
    /// How many containers use each volume.
    pub links: BTreeMap<String, usize>,
    /// What builds have left.
    pub build_cache: Vec<Entry>,
    /// Layers that only the build cache has.
    cached: BTreeSet<String>,
    /// Volumes that are certainly unused.
    free: Vec<String>,
    /// Layers that containers use.
    held: BTreeSet<String>,
    /// Containers may use any layer, because a plan cannot be read.
    held_unknown: bool,
}

fn layer(id: &ChainId) -> String {
    format!("layers/{}", id.0.hex())
}

impl Usage {
    /// Measures everything.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn read(store: &Store) -> Result<Usage> {
        let containers = containers::list(store)?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut held = BTreeSet::new();
        let plans = store.containers().specs()?;
        plans.unreadable.iter().for_each(Unreadable::warn);
        let held_unknown = !plans.unreadable.is_empty();
        for (container, plan) in plans.read {
            let volumes = plan.mounts.iter().filter(|m| matches!(m.source, MountSource::Volume { .. }));
            counts.insert(container.id().to_string(), volumes.count());
            if let RootSpec::Layers(layers) = &plan.root {
                held.extend(layers.iter().map(layer));
            }
        }
        let users = Users::read(store.containers())?;
        let all = store.volumes().list()?;
        let free = all.iter().filter(|volume| users.is_free(&volume.name));
        let free = free.map(|volume| format!("volumes/{}", volume.name)).collect();
        let links = all.iter().map(|v| (v.name.to_string(), users.of(&v.name).len())).collect();
        let blobs: BTreeMap<Digest, _> = store.images().blobs_by_image()?.into_iter().collect();
        let mut images = Vec::new();
        for listed in store.images().list()?.into_iter().filter(|listed| !listed.read_only) {
            let mut parts: BTreeSet<String> = listed.image.layers.iter().map(layer).collect();
            let own = blobs.get(&listed.image.id).into_iter().flatten();
            parts.extend(own.map(|blob| format!("oci/blobs/{}/{}", blob.algorithm(), blob.hex())));
            let users = store.images().users(&listed.image.id)?.len();
            images.push(ImageUsage { listed, parts, users });
        }
        let sizes = sizes(store)?;
        let build_cache = store.build_cache().usage(store.images(), &sizes)?;
        let mut cached: BTreeSet<String> = store.build_cache().layers()?.iter().map(layer).collect();
        cached.retain(|path| {
            !held.contains(path) && !images.iter().any(|i: &ImageUsage| i.parts.contains(path))
        });
        Ok(Usage {
            sizes,
            images,
            containers,
            volumes: counts,
            links,
            build_cache,
            cached,
            free,
            held,
            held_unknown,
        })
    }

    fn size(&self, path: &str) -> u64 {
        self.sizes.get(path).copied().unwrap_or_default()
    }

    fn sum<'a>(&self, paths: impl IntoIterator<Item = &'a String>) -> u64 {
        paths.into_iter().map(|path| self.size(path)).sum()
    }

    /// Everything whose path begins with one of these.
    fn below(&self, roots: &[&str]) -> u64 {
        let inside =
            |path: &str| roots.iter().any(|root| path == *root || path.starts_with(&format!("{root}/")));
        self.sizes.iter().filter(|(path, _)| inside(path)).map(|(_, size)| size).sum()
    }

    /// What interrupted commands have left. The directories that it lies in stay.
    fn leftovers(&self) -> u64 {
        let left = |path: &str| {
            let below = ["tmp/", "trash/"].iter().find_map(|dir| path.strip_prefix(dir));
            below.is_some_and(|name| name != ".")
        };
        self.sizes.iter().filter(|(path, _)| left(path)).map(|(_, size)| size).sum()
    }

    /// The kinds of things there are.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut used = self.held.clone();
        used.extend(self.images.iter().filter(|i| i.users > 0).flat_map(|i| i.parts.iter().cloned()));
        let parts = self.sizes.keys().filter(|path| {
            let single = path.starts_with("layers/") || path.starts_with("oci/blobs/sha");
            single && !path.ends_with("/.")
        });
        let is_idle =
            |path: &&String| !self.held_unknown && !used.contains(*path) && !self.cached.contains(*path);
        let idle = self.sum(parts.filter(is_idle));
        let ended =
            self.containers.iter().filter(|c| !c.status.is_live()).map(|c| format!("containers/{}", c.id));
        let ended: Vec<String> = ended.collect();
        let cached = self.sum(&self.cached);
        let images = self.below(&["layers", "oci", "images", "lists", "refs"]) - cached;
        let containers = self.below(&["containers", "names"]);
        let local = self.below(&["volumes"]);
        let build = self.below(&["build"]) + cached;
        let needed = self.build_cache.iter().filter(|entry| entry.in_use);
        let needed_now: u64 = needed.clone().map(|entry| entry.size).sum();
        let builds = (self.build_cache.len(), needed.count());
        let total: u64 = self.sizes.values().sum();
        let running = self.containers.len() - ended.len();
        let kind = |name, (total, active), size, reclaimable| Kind { name, total, active, size, reclaimable };
        let used = self.images.iter().filter(|i| i.users > 0).count();
        let attached = self.links.len() - self.free.len();
        vec![
            kind("Images", (self.images.len(), used), images, idle),
            kind("Containers", (self.containers.len(), running), containers, self.sum(&ended)),
            kind("Local Volumes", (self.links.len(), attached), local, self.sum(&self.free)),
            kind(BUILD_CACHE, builds, build, build.saturating_sub(needed_now)),
            kind(OTHER, (0, 0), total - images - containers - local - build, self.leftovers()),
        ]
    }

    /// Bytes of an image, and those of them that other images have too.
    pub fn image(&self, image: &ImageUsage) -> (u64, u64) {
        let others: BTreeSet<&String> = self
            .images
            .iter()
            .filter(|other| other.listed.image.id != image.listed.image.id)
            .flat_map(|other| &other.parts)
            .collect();
        let shared = self.sum(image.parts.iter().filter(|part| others.contains(part)));
        (self.sum(&image.parts), shared)
    }

    /// Bytes of a container, and how many named volumes it has.
    pub fn container(&self, container: &Summary) -> (u64, usize) {
        let volumes = self.volumes.get(container.id.as_str()).copied().unwrap_or_default();
        (self.size(&format!("containers/{}", container.id)), volumes)
    }

    /// Bytes of a volume.
    pub fn volume(&self, name: &str) -> u64 {
        self.size(&format!("volumes/{name}"))
    }
}
