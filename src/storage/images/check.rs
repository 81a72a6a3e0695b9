//! Checking for damage: records with dangling references, blobs and layers that are missing or have changed.

use super::Images;
use super::records::ImageRecord;
use crate::error::Result;
use crate::image::{ChainId, Digest};
use crate::storage::ExclusiveLock;
use std::collections::HashSet;

/// An image that is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The image.
    pub id: Digest,
    /// What is wrong with it, one line each.
    pub faults: Vec<String>,
    /// Blobs whose content is not that of their name.
    pub wrong_blobs: Vec<Digest>,
    /// Layers whose files are not what they were, and that are nowhere else.
    pub wrong_layers: Vec<ChainId>,
}

impl Images {
    /// The images of our own store that are not whole; `thorough` reads every blob again. `wrong` are layers that were
    /// found to have other files than they were made with.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn damaged(&self, thorough: bool, wrong: &[ChainId]) -> Result<Vec<Damaged>> {
        let mut good: HashSet<Digest> = HashSet::new();
        let mut all = Vec::new();
        for (record, read_only) in self.image_records()? {
            if !read_only {
                all.extend(self.examine(&record, thorough, wrong, &mut good)?);
            }
        }
        Ok(all)
    }

    /// Whether an image that was found damaged still is, now that no pull can repair it. Of its
    /// blobs only those are read again that were wrong.
    ///
    /// # Errors
    /// When a record or a blob cannot be read.
    pub fn is_still(&self, _lock: &ExclusiveLock, damaged: &Damaged) -> Result<bool> {
        for blob in &damaged.wrong_blobs {
            if self.blobs.has(blob) && !self.blobs.is_true(blob)? {
                return Ok(true);
            }
        }
        for (record, read_only) in self.image_records()? {
            if !read_only && record.id == damaged.id {
                let wrong = &damaged.wrong_layers;
                return Ok(self.examine(&record, false, wrong, &mut HashSet::new())?.is_some());
            }
        }
        Ok(false)
    }

    fn examine(
        &self,
        record: &ImageRecord,
        thorough: bool,
        wrong: &[ChainId],
        good: &mut HashSet<Digest>,
    ) -> Result<Option<Damaged>> {
        let mut found = Damaged {
            id: record.id.clone(),
            faults: Vec::new(),
            wrong_blobs: Vec::new(),
            wrong_layers: Vec::new(),
        };
        // The blobs of layers are missing rightly where they were made in place.
        let needed = record.manifests.iter().map(|m| m.digest.clone()).chain([record.id.clone()]);
        let needed: Vec<Digest> = needed.collect();
        for blob in needed.iter().filter(|blob| !self.blobs.has(blob)) {
            found.faults.push(format!("blob {} is missing", blob.short()));
        }
        let mut blobs = HashSet::new();
        if found.faults.is_empty() {
            self.blobs_of(record, &mut blobs);
        }
        blobs.extend(needed);
        for blob in blobs {
            if !thorough || good.contains(&blob) || !self.blobs.has(&blob) {
                continue;
            }
            if self.blobs.is_true(&blob)? {
                good.insert(blob);
            } else {
                found.faults.push(format!("blob {} has other content", blob.short()));
                found.wrong_blobs.push(blob);
            }
        }
        if let Ok(Some(bytes)) = self.blobs.read(&record.id)
            && let Ok(config) = super::parse_config(&bytes, &record.id)
        {
            for layer in ChainId::chain(&config.rootfs.diff_ids) {
                if self.layers.path(&layer).is_err() || self.layers.record(&layer).is_err() {
                    found.faults.push(format!("layer {} is missing", layer.0.short()));
                } else if wrong.contains(&layer) {
                    let short = layer.0.short();
                    found.faults.push(format!("layer {short} has other files than it was made with"));
                    found.wrong_layers.push(layer);
                }
            }
        }
        Ok((!found.faults.is_empty()).then_some(found))
    }

    /// The names that lead to no image and no list.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn dangling_names(&self) -> Result<Vec<crate::image::Reference>> {
        let images = self.image_records()?.into_iter().map(|(record, _)| record.id);
        let lists = self.list_records()?.into_iter().map(|(record, _)| record.id);
        let known: HashSet<Digest> = images.chain(lists).collect();
        let names = self
            .ref_records()?
            .into_iter()
            .filter(|(name, read_only)| !read_only && !known.contains(name.target.id()));
        Ok(names.map(|(name, _)| name.reference).collect())
    }

    /// Layers of our own store that no image and no container needs.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn unused_layers(&self) -> Result<Vec<ChainId>> {
        let Some(used) = self.used_layers()? else { return Ok(Vec::new()) };
        Ok(self.layers.list()?.into_iter().filter(|layer| !used.contains(layer)).collect())
    }

    /// Moves those of these layers to the trash that nothing needs; gives them.
    ///
    /// # Errors
    /// When a record cannot be read or a layer not be moved.
    pub fn discard_if_unused(&self, _lock: &ExclusiveLock, layers: &[ChainId]) -> Result<Vec<ChainId>> {
        let Some(used) = self.used_layers()? else { return Ok(Vec::new()) };
        self.layers.discard_unused(&used, |layer, _| layers.contains(layer))
    }

    /// The layers of our own store whose archives can only be packed from their trees.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn layers_without_blobs(&self) -> Result<Vec<ChainId>> {
        let packed = |id: &ChainId| {
            let layer = self.layers.adopted(id).ok().flatten();
            layer.is_some_and(|layer| !self.blobs.has(&layer.diff_id.0))
        };
        Ok(self.layers.list()?.into_iter().filter(packed).collect())
    }

    /// Every blob of our own store that an image needs.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn blobs_by_image(&self) -> Result<Vec<(Digest, HashSet<Digest>)>> {
        let mut all = Vec::new();
        for (record, read_only) in self.image_records()? {
            if !read_only {
                let mut blobs = HashSet::new();
                self.blobs_of(&record, &mut blobs);
                all.push((record.id, blobs));
            }
        }
        Ok(all)
    }
}
