//! The index of the image layout, for other programs that read it.

use super::Images;
use super::records::{BlobsOf, ConfigOf, Index, IndexEntry, ManifestRef, REF_NAME, Target};
use crate::error::Result;
use crate::image::index::is_index;
use crate::image::{self, Digest, document};
use crate::storage::record::Durability;
use std::collections::{BTreeMap, HashMap, HashSet};

impl Images {
    /// As [`Images::write_index`], once what it is derived of stands: the next change derives it again.
    pub(super) fn derive_index(&self) {
        if let Err(error) = self.write_index() {
            log::warn!("the index for other programs is not up to date: {}", error.in_one_line());
        }
    }

    /// Derives `oci/index.json` from the records of our own store. Images of which blobs are missing, as of layers that
    /// were made in place, are left out: other programs could not read them.
    pub(super) fn write_index(&self) -> Result<()> {
        if self.postponed.index() {
            return Ok(());
        }
        let _lock = self.records_lock()?;
        let mut manifests = Vec::new();
        let mut named: HashSet<Digest> = HashSet::new();
        let mut known: HashMap<Digest, bool> = HashMap::new();
        let lists: HashMap<Digest, ManifestRef> =
            self.list_records()?.into_iter().map(|(list, _)| (list.id, list.index)).collect();
        for (found, read_only) in self.ref_records()? {
            let manifest = match found.target {
                Target::Image { manifest, .. } => Some(manifest),
                Target::List { list } => lists.get(&list).cloned(),
            };
            // A name for an image of an additional store has no blobs here to point at.
            let Some(manifest) = manifest.filter(|m| !read_only && self.is_whole(m, &mut known)) else {
                continue;
            };
            named.insert(manifest.digest.clone());
            manifests.push(IndexEntry {
                manifest,
                annotations: BTreeMap::from([(REF_NAME, found.reference.to_string())]),
            });
        }
        for (found, read_only) in self.image_records()? {
            for manifest in found.manifests {
                let missing = read_only || !self.is_whole(&manifest, &mut known);
                if !missing && named.insert(manifest.digest.clone()) {
                    manifests.push(IndexEntry { manifest, annotations: BTreeMap::new() });
                }
            }
        }
        manifests.sort_by(|a, b| a.annotations.cmp(&b.annotations));
        let index =
            Index { schema_version: 2, media_type: "application/vnd.oci.image.index.v1+json", manifests };
        self.own("oci")?.replace("index.json", &index, Durability::Volatile)
    }

    /// Whether our own store has all blobs of an image, or of all images of an index.
    fn is_whole(&self, manifest: &ManifestRef, known: &mut HashMap<Digest, bool>) -> bool {
        if let Some(whole) = known.get(&manifest.digest) {
            return *whole;
        }
        let mut all_are_here = || {
            let bytes = self.blobs.read(&manifest.digest).ok()??;
            if is_index(&manifest.media_type) {
                let index = image::Index::parse(manifest.digest.as_str(), &bytes).ok()?;
                let mut parts = index.manifests.into_iter().filter(|entry| !entry.is_index()).map(|entry| {
                    ManifestRef { media_type: entry.media_type, digest: entry.digest, size: entry.size }
                });
                return Some(
                    self.blobs.is_own(&manifest.digest) && parts.all(|part| self.is_whole(&part, known)),
                );
            }
            let (config, layers) = (document::parse::<ConfigOf>(&bytes), document::parse::<BlobsOf>(&bytes));
            let mut named = layers.ok()?.layers.into_iter().chain([config.ok()?.config]);
            Some(self.blobs.is_own(&manifest.digest) && named.all(|blob| self.blobs.is_own(&blob.digest)))
        };
        let whole = all_are_here().unwrap_or(false);
        known.insert(manifest.digest.clone(), whole);
        whole
    }
}
