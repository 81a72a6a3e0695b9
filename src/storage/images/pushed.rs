//! What is known of images that are in registries.

use super::records::{ImageRecord, ManifestRef};
use super::{IMAGES, Images};
use crate::error::Result;
use crate::failpoint;
use crate::image::{Digest, Reference};
use crate::storage::SharedLock;
use crate::storage::record::Durability;
use std::collections::{HashMap, HashSet};

impl Images {
    /// Notes that an image is this manifest in the repository of a name. It is a further one of the image if its layers
    /// were compressed on the way; what the image is here stays first. An image of another store is left as it is.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn note_pushed(
        &self,
        _lock: &SharedLock,
        id: &Digest,
        name: &Reference,
        (media_type, manifest): (&str, &[u8]),
    ) -> Result<()> {
        if !self.is_own(id) {
            return Ok(());
        }
        let digest = self.blobs.put(manifest)?;
        failpoint::reach("push.stored");
        let images = self.own(IMAGES)?;
        let _records = self.records_lock()?;
        let Some(known) = images.read::<ImageRecord>(id.hex())? else { return Ok(()) };
        let mut record = known.clone();
        record.note_remote(name, &digest);
        if !record.manifests.iter().any(|known| known.digest == digest) {
            let (media_type, size) = (media_type.to_owned(), manifest.len() as u64);
            record.manifests.push(ManifestRef { media_type, digest, size });
        }
        if record != known {
            images.replace(id.hex(), &record, Durability::Synced)?;
        }
        failpoint::reach("push.noted");
        Ok(())
    }

    /// The repositories of a registry that may have a blob, by its digest: those that images with such a layer came
    /// from or went to.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn repositories(&self, registry: &str) -> Result<HashMap<Digest, Vec<String>>> {
        let mut all: HashMap<Digest, Vec<String>> = HashMap::new();
        for (record, _) in self.image_records()? {
            let names = record.digests.iter().filter_map(|name| name.parse::<Reference>().ok());
            let there = names.filter(|name| name.registry() == Some(registry));
            let paths: Vec<String> = there.map(|name| name.path().to_owned()).collect();
            if paths.is_empty() {
                continue;
            }
            let mut blobs = HashSet::new();
            self.blobs_of(&record, &mut blobs);
            for blob in blobs {
                let known = all.entry(blob).or_default();
                let new: Vec<_> = paths.iter().filter(|path| !known.contains(path)).cloned().collect();
                known.extend(new);
            }
        }
        Ok(all)
    }
}
