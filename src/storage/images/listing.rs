//! Listing images.
//!
//! Theory of operation. Two small files are read for an image: the record of its name and its own, which says what a
//! listing shows. A record of an older coracle does not; then its configuration and the records of its layers are read
//! besides. The directories are opened once, so that each file costs four system calls.
//!
//! The size of a layer is that of its files when the image was recorded, also if the layer is missing now: `run` will
//! say that it is, and `system check`.

use super::family::Family;
use super::records::{ImageRecord, Shown};
use super::{Brief, Images, Listed};
use crate::error::Result;
use crate::image::{ChainId, Digest, Reference};
use crate::storage::record::warn_once;
use crate::storage::{blobs, layers};
use std::collections::{BTreeMap, HashSet};

/// What has images: their names, and the lists of our own store.
struct Holders {
    names: BTreeMap<Digest, Vec<Reference>>,
    lists: BTreeMap<Digest, Vec<Digest>>,
}

/// Reads what the records of older coracles do not say.
struct Elsewhere<'a> {
    configs: blobs::Reader<'a>,
    layers: layers::Reader,
    sizes: BTreeMap<ChainId, u64>,
}

impl Images {
    /// All images, newest first.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut holders = self.holders()?;
        let mut elsewhere = self.elsewhere()?;
        let (mut all, mut sizes) = (Vec::new(), BTreeMap::new());
        for (record, read_only) in self.image_records()? {
            let Some((listed, layers)) = self.row(record, read_only, &mut holders, &mut elsewhere) else {
                continue;
            };
            sizes.extend(layers);
            all.push(listed);
        }
        share(&mut all, &sizes);
        Family::of(self).note_children(&mut all);
        all.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.image.id.cmp(&b.image.id)));
        Ok(all)
    }

    /// One image as [`Images::list`] shows it, but that it is not said what it shares with others, and whether others
    /// were made of it. `None` when it is not here, or damaged.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn listed(&self, id: &Digest) -> Result<Option<Listed>> {
        let Some((record, read_only)) = self.image_record(id)? else { return Ok(None) };
        let row = self.row(record, read_only, &mut self.holders()?, &mut self.elsewhere()?);
        Ok(row.map(|(listed, _)| listed))
    }

    fn holders(&self) -> Result<Holders> {
        let mut names: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
        for (found, _) in self.ref_records()? {
            names.entry(found.target.id().clone()).or_default().push(found.reference);
        }
        let mut lists: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
        for (list, _) in self.list_records()?.into_iter().filter(|(_, read_only)| !read_only) {
            for image in list.parts.into_iter().filter_map(|part| part.image) {
                lists.entry(image).or_default().push(list.id.clone());
            }
        }
        Ok(Holders { names, lists })
    }

    fn elsewhere(&self) -> Result<Elsewhere<'_>> {
        let (configs, layers) = (self.blobs.reader(), self.layers.reader()?);
        Ok(Elsewhere { configs, layers, sizes: BTreeMap::new() })
    }

    /// An image as it is listed, and its layers with their sizes; `None` for one that is damaged.
    fn row(
        &self,
        record: ImageRecord,
        read_only: bool,
        holders: &mut Holders,
        elsewhere: &mut Elsewhere<'_>,
    ) -> Option<(Listed, Vec<(ChainId, u64)>)> {
        let manifest = record.manifests.first()?.digest.clone();
        let Ok(shown) = record.shown.map_or_else(|| self.shown(&record.id, &manifest, elsewhere), Ok) else {
            // `system check` says what is wrong with it.
            let id = record.id.short();
            warn_once(id, &format!("image {id} is damaged and left out; see: coracle system check"));
            return None;
        };
        let mut names = holders.names.remove(&record.id).unwrap_or_default();
        names.sort();
        let Shown { created, os, architecture, labels, steps, layers } = shown;
        let (digests, remote) = known_digests(record.digests, record.remote);
        let listed = Listed {
            is_list: false,
            has_children: false,
            lists: holders.lists.remove(&record.id).unwrap_or_default(),
            digests,
            remote,
            history: in_use_first(record.history, &names),
            names,
            created: created.unwrap_or(record.added),
            size: layers.iter().map(|(_, size)| size).sum(),
            shared: 0,
            read_only,
            image: Brief {
                id: record.id,
                manifest,
                layers: layers.iter().map(|(layer, _)| layer.clone()).collect(),
                os,
                architecture,
                labels,
                steps,
            },
        };
        Some((listed, layers))
    }

    /// What is shown of an image, from its configuration and the records of its layers.
    fn shown(&self, id: &Digest, manifest: &Digest, elsewhere: &mut Elsewhere<'_>) -> Result<Shown> {
        let image = self.load_from(&elsewhere.configs.read(id)?, id, manifest, None)?;
        let Elsewhere { layers, sizes, .. } = elsewhere;
        // Layers are shared mostly. One that is missing takes no room.
        let mut size = |layer: &ChainId| match sizes.get(layer) {
            Some(size) => *size,
            None => {
                let size = layers.record(layer).map_or(0, |record| record.size);
                sizes.insert(layer.clone(), size);
                size
            }
        };
        Ok(Shown::of(&image.config, &image.layers, &mut size))
    }
}

/// Names that an image has had, those that it has now before the others.
pub(super) fn in_use_first(history: Vec<String>, names: &[Reference]) -> Vec<String> {
    let now: HashSet<String> = names.iter().map(Reference::to_string).collect();
    let (mut names, former): (Vec<String>, Vec<String>) =
        history.into_iter().partition(|name| now.contains(name));
    names.extend(former);
    names
}

/// All digests of a record, those of registries first; and these.
pub(super) fn known_digests(digests: Vec<String>, remote: Option<Vec<String>>) -> (Vec<String>, Vec<String>) {
    let remote = remote.unwrap_or_else(|| digests.clone());
    let others = digests.into_iter().filter(|digest| !remote.contains(digest));
    (remote.iter().cloned().chain(others).collect(), remote)
}

/// Fills in how much each image shares with others.
fn share(all: &mut [Listed], sizes: &BTreeMap<ChainId, u64>) {
    let mut users: BTreeMap<ChainId, usize> = BTreeMap::new();
    for layer in all.iter().flat_map(|listed| &listed.image.layers) {
        *users.entry(layer.clone()).or_default() += 1;
    }
    for listed in all {
        let shared = listed.image.layers.iter().filter(|layer| users.get(layer).is_some_and(|n| *n > 1));
        listed.shared = shared.filter_map(|layer| sizes.get(layer)).sum();
    }
}
