//! The index of the image layout, for other programs that read it.

use super::Images;
use super::records::{BlobsOf, ConfigOf, Index, IndexEntry, ManifestRef, REF_NAME};
use crate::error::Result;
use crate::image::{Digest, document};
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
        let _lock = self.records_lock()?;
        let mut manifests = Vec::new();
        let mut named: HashSet<Digest> = HashSet::new();
        let mut known: HashMap<Digest, bool> = HashMap::new();
        for (found, read_only) in self.ref_records()? {
            // A name for an image of an additional store has no blobs here to point at.
            if read_only || !self.is_whole(&found.manifest, &mut known) {
                continue;
            }
            named.insert(found.manifest.digest.clone());
            manifests.push(IndexEntry {
                manifest: found.manifest,
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

    /// Whether our own store has all blobs of an image.
    fn is_whole(&self, manifest: &ManifestRef, known: &mut HashMap<Digest, bool>) -> bool {
        if let Some(whole) = known.get(&manifest.digest) {
            return *whole;
        }
        let all_are_here = || {
            let bytes = self.blobs.read(&manifest.digest).ok()??;
            let (config, layers) = (document::parse::<ConfigOf>(&bytes), document::parse::<BlobsOf>(&bytes));
            let mut named = layers.ok()?.layers.into_iter().chain([config.ok()?.config]);
            Some(self.blobs.is_own(&manifest.digest) && named.all(|blob| self.blobs.is_own(&blob.digest)))
        };
        let whole = all_are_here().unwrap_or(false);
        known.insert(manifest.digest.clone(), whole);
        whole
    }
}
