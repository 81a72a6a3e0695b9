//! Removing images without removing anything that is still in use.

use super::records::{BlobsOf, ImageRecord, Target};
use super::{IMAGES, Images, REFS, damage, key, parse_config};
use crate::container::ContainerId;
use crate::error::{Error, Kind, Result, phrases};
use crate::image::{ChainId, Digest, Reference, document};
use crate::spec::RootSpec;
use crate::storage::containers::{Containers, Specs, Unreadable};
use crate::storage::events::{Action, Event, Events};
use crate::storage::{ExclusiveLock, lock};
use std::collections::{HashMap, HashSet};

/// What a removal did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that were removed.
    pub untagged: Vec<Reference>,
    /// The image, when it is gone.
    pub deleted: Option<Digest>,
    /// Layers that went with it; they are in the trash.
    pub layers: Vec<ChainId>,
}

/// Removals of images under one lock: what is known of all of them is read once.
pub struct Removal<'a> {
    images: &'a Images,
    lock: &'a ExclusiveLock,
    names: HashMap<Digest, Vec<Reference>>,
    specs: Specs,
}

impl Images {
    /// The containers of our store that use this image, among those whose plans can be read.
    ///
    /// # Errors
    /// When the directory of containers cannot be read.
    pub fn users(&self, id: &Digest) -> Result<Vec<ContainerId>> {
        let using = self.specs()?.read.into_iter().filter(|(_, spec)| spec.uses_image(id));
        Ok(using.map(|(_, spec)| spec.id).collect())
    }

    /// Whether an image or a list stays when it loses this name: it has others, or lies in a store that is only read.
    ///
    /// # Errors
    /// When the names cannot be read.
    pub fn outlives(&self, id: &Digest, name: &Reference) -> Result<bool> {
        let names = self.names(id)?;
        Ok(names.contains(name) && (names.len() > 1 || !self.is_own(id)))
    }

    /// Begins removals of images; the lock keeps what is read here as it is until the last one.
    ///
    /// # Errors
    /// When the records of names, containers or the build cache cannot be read.
    pub fn removal<'a>(&'a self, lock: &'a ExclusiveLock) -> Result<Removal<'a>> {
        // As nothing is removed if it is unknown.
        self.build_cache.kept()?;
        let mut names: HashMap<Digest, Vec<Reference>> = HashMap::new();
        for (found, _) in self.ref_records()?.into_iter().filter(|(_, read_only)| !read_only) {
            names.entry(found.target.id().clone()).or_default().push(found.reference);
        }
        Ok(Removal { images: self, lock, names, specs: self.specs()? })
    }

    /// Removes one image, as [`Removal::remove`] does.
    ///
    /// # Errors
    /// Those of [`Images::removal`] and [`Removal::remove`].
    pub fn remove(&self, lock: &ExclusiveLock, id: &Digest) -> Result<Removed> {
        self.removal(lock)?.remove(id)
    }

    /// Removes the blobs and layers of images that are gone, where nothing else needs them; gives the layers.
    ///
    /// # Errors
    /// When a record cannot be read or the file system refuses.
    pub(super) fn discard_contents(
        &self,
        _lock: &ExclusiveLock,
        gone: &[ImageRecord],
    ) -> Result<Vec<ChainId>> {
        let for_builds = self.build_cache.kept()?;
        let mut blobs: HashSet<Digest> = HashSet::new();
        let mut layers: HashSet<ChainId> = HashSet::new();
        for image in gone {
            self.blobs_of(image, &mut blobs);
            layers.extend(self.layers_of(&image.id));
        }
        let mut kept: HashSet<Digest> = for_builds.blobs;
        let mut all_known = !self.has_lost_records()?;
        for (other, read_only) in self.image_records()? {
            if !read_only {
                all_known &= self.blobs_of(&other, &mut kept);
            }
        }
        let used = self.named_layers()?.map(|named| &named | &for_builds.layers);
        if all_known {
            for blob in blobs.difference(&kept) {
                self.blobs.remove(blob)?;
                crate::failpoint::reach("rmi.blob");
            }
        } else {
            damage::warn();
        }
        let Some(used) = used else { return Ok(Vec::new()) };
        let (_alone, age) = lock::orphan_age(&self.roots.data)?;
        self.layers.discard_unused(&used, |layer: &ChainId, there| layers.contains(layer) || there >= age)
    }

    /// Logs the events of a removed image or list.
    pub(super) fn told(&self, id: &Digest, mut removed: Removed) -> Removed {
        removed.untagged.sort();
        let events = Events::new(&self.roots.data);
        for name in &removed.untagged {
            events.emit(Event::image_named(Action::Untag, id.as_str(), &name.to_string()));
        }
        let name = removed.untagged.first().map_or_else(|| id.hex().to_owned(), ToString::to_string);
        events.emit(Event::image_named(Action::Remove, id.as_str(), &name));
        removed
    }

    /// Collects every digest an image's manifests name; false when one cannot be read, which may name others.
    pub(super) fn blobs_of(&self, image: &ImageRecord, into: &mut HashSet<Digest>) -> bool {
        into.insert(image.id.clone());
        let mut all = true;
        for manifest in &image.manifests {
            into.insert(manifest.digest.clone());
            let content = match self.blobs.read(&manifest.digest) {
                Ok(Some(bytes)) => document::parse::<BlobsOf>(&bytes).ok(),
                _ => None,
            };
            all &= content.is_some();
            into.extend(content.into_iter().flat_map(|content| content.layers).map(|l| l.digest));
        }
        all
    }

    /// The layers of an image, if its configuration can be read.
    fn layers_of(&self, id: &Digest) -> Vec<ChainId> {
        let bytes = self.blobs.read(id).ok().flatten().unwrap_or_default();
        parse_config(&bytes, id).map_or_else(|_| Vec::new(), |config| ChainId::chain(&config.rootfs.diff_ids))
    }

    /// The layers that images of our own store, containers, the build cache and running builds need; `None` if that is
    /// unknown.
    pub(super) fn used_layers(&self) -> Result<Option<HashSet<ChainId>>> {
        let for_builds = self.build_cache.kept()?.layers;
        Ok(self.named_layers()?.map(|named| &named | &for_builds))
    }

    /// The layers that images of our own store and containers need; `None` if that is unknown, because a record,
    /// a configuration or a plan cannot be read.
    pub(in crate::storage) fn named_layers(&self) -> Result<Option<HashSet<ChainId>>> {
        let mut used = HashSet::new();
        let specs = self.specs()?;
        specs.unreadable.iter().for_each(Unreadable::warn);
        let mut all_known = specs.unreadable.is_empty();
        for (_, spec) in specs.read {
            used.extend(spec.mounted_images().flat_map(|(_, layers)| layers).cloned());
            if let RootSpec::Layers(layers) = spec.root {
                used.extend(layers);
            }
        }
        let images = self.image_records()?.into_iter().map(|(image, read_only)| (image.id, read_only));
        let names = self.ref_records()?.into_iter().filter_map(|(name, read_only)| match name.target {
            Target::Image { id, .. } => Some((id, read_only)),
            // The images of a list have records of their own.
            Target::List { .. } => None,
        });
        let own = images.chain(names).filter(|(_, read_only)| !read_only).map(|(id, _)| id);
        let mut records_known = !self.has_lost_records()?;
        for id in own.collect::<HashSet<_>>() {
            // A missing one refers to no layers, whatever names it.
            let Some(bytes) = self.blobs.read(&id).unwrap_or_else(|_| Some(Vec::new())) else { continue };
            match parse_config(&bytes, &id) {
                Ok(config) => used.extend(ChainId::chain(&config.rootfs.diff_ids)),
                Err(_) => records_known = false,
            }
        }
        if !records_known {
            damage::warn();
        }
        all_known &= records_known;
        Ok(all_known.then_some(used))
    }

    /// The containers of our store, which need something from here.
    pub(super) fn specs(&self) -> Result<Specs> {
        Containers::new(&self.roots.data, &self.roots.runtime).specs()
    }
}

impl Removal<'_> {
    /// Removes an image with all its names, and what nothing else needs: its blobs and its layers. The
    /// layers are in the trash afterwards; see [`crate::storage::trash::sweep`].
    ///
    /// # Errors
    /// [`Kind::Conflict`] when containers were made from it, or one may have been whose plan cannot be read, or
    /// when it lies in an additional store.
    pub fn remove(&mut self, id: &Digest) -> Result<Removed> {
        let all = self.images;
        let images = all.own(IMAGES)?;
        let Some(gone) = images.read::<ImageRecord>(id.hex())? else {
            return Err(Error::new(
                Kind::Storage,
                format!("image {} lies in an additional store, which is read-only", id.short()),
            ));
        };
        let specs = &self.specs;
        // To docker it matters whether one of them runs.
        let mut users = specs.read.iter().filter(|(_, spec)| spec.uses_image(id)).peekable();
        if let Some((_, first)) = users.peek().copied() {
            let error = match users.find(|(dir, _)| dir.status().is_live()) {
                Some((_, user)) => phrases::image_in_use_by_running(id.short(), user.id.as_str()),
                None => phrases::image_in_use(id.short(), first.id.as_str()),
            };
            return Err(error.hint(
                "Remove the container first: coracle rm CONTAINER; or both: coracle rmi --force IMAGE",
            ));
        }
        if let Some(unreadable) = specs.unreadable.first() {
            return Err(unreadable.refusal(&format!("image {}", id.short())));
        }
        let mut removed = Removed { deleted: Some(id.clone()), ..Removed::default() };
        let refs = all.own(REFS)?;
        for name in self.names.remove(id).unwrap_or_default() {
            refs.remove_file(key(&name).hex())?;
            removed.untagged.push(name);
            crate::failpoint::reach("rmi.untagged");
        }
        images.remove_file(id.hex())?;
        crate::failpoint::reach("rmi.record");
        all.derive_index();
        crate::failpoint::reach("rmi.index");
        if !all.postponed.contents_of(&gone) {
            removed.layers = all.discard_contents(self.lock, &[gone])?;
        }
        crate::failpoint::reach("rmi.layers");
        Ok(all.told(id, removed))
    }
}
