//! Recording an image under its names.

use super::records::{ConfigOf, ImageRecord, ManifestRef, RefRecord, Shown, Target};
use super::{IMAGES, Images, NewImage, REFS, key, parse_config, stored_form};
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::image::{ChainId, Digest, Image, Reference, document};
use crate::storage::SharedLock;
use crate::storage::record::Durability;
use chrono::Utc;

impl Images {
    /// Records an image whose layers are committed, under its names. A name that meant another image
    /// moves; the other stays, dangling when it has no name left.
    ///
    /// The order: layers, blobs, the image's record, its names one by one, the derived index. Each is on the disk
    /// before the next begins. Whoever is killed in between leaves blobs that nothing names, or an image that
    /// is whole and lacks names: both are legal, the same command again completes them, and `image prune`
    /// takes them. A name never comes before what it means. An image that is here already, under these names, is not
    /// written again.
    ///
    /// # Errors
    /// [`Kind::Image`] when manifest and configuration are not a pair, [`Kind::NotFound`] when a layer
    /// is missing. Nothing is visible then.
    pub fn record(&self, _lock: &SharedLock, new: &NewImage<'_>) -> Result<Image> {
        let id = Digest::sha256_of(new.config);
        let config = parse_config(new.config, &id)?;
        let named: ConfigOf = document::parse(new.manifest)
            .context(Kind::Image, || format!("the manifest of image {} is not one", id.short()))?;
        if named.config.digest != id {
            return Err(Error::new(
                Kind::Image,
                format!("the manifest names configuration {}, not {id}", named.config.digest),
            ));
        }
        for reference in new.names {
            if reference.registry().is_none() {
                return Err(Error::new(Kind::Usage, format!("{reference} names no registry")));
            }
        }
        let layers = ChainId::chain(&config.rootfs.diff_ids);
        for layer in &layers {
            self.layers.path(layer)?;
        }
        self.layers.settle(&layers)?;
        self.blobs.put(new.config)?;
        let manifest = ManifestRef {
            media_type: new.media_type.to_owned(),
            digest: self.blobs.put(new.manifest)?,
            size: new.manifest.len() as u64,
        };
        failpoint::reach("image.blobs");
        let records = self.layers.reader()?;
        let shown =
            Shown::of(&config, &layers, |layer| records.record(layer).map_or(0, |record| record.size));
        let mut changed = self.update_image(&id, &manifest, new, shown)?;
        failpoint::reach("image.recorded");
        for reference in new.names {
            changed |=
                self.write_ref(reference, Target::Image { id: id.clone(), manifest: manifest.clone() })?;
            failpoint::reach("image.named");
        }
        if changed {
            self.write_index()?;
        }
        Ok(Image { id, manifest: manifest.digest, reference: new.names.first().cloned(), layers, config })
    }

    /// Returns whether it had to be written.
    fn update_image(
        &self,
        id: &Digest,
        manifest: &ManifestRef,
        new: &NewImage<'_>,
        shown: Shown,
    ) -> Result<bool> {
        let images = self.own(IMAGES)?;
        let _lock = self.records_lock()?;
        // A damaged one is rebuilt: its other contents are lost.
        let known = images.read::<ImageRecord>(id.hex()).ok().flatten();
        let mut image = known.clone().unwrap_or_else(|| ImageRecord {
            version: 1,
            id: id.clone(),
            manifests: Vec::new(),
            digests: Vec::new(),
            remote: Some(Vec::new()),
            history: Vec::new(),
            added: Utc::now(),
            shown: None,
        });
        image.shown = Some(shown);
        image.manifests.retain(|m| m.digest != manifest.digest);
        image.manifests.insert(0, manifest.clone());
        for name in new.names {
            image.note_name(name);
            match new.from_registry {
                // What the name means there comes last, and so is the latest.
                true => {
                    [&manifest.digest].into_iter().chain(new.index).for_each(|d| image.note_remote(name, d))
                }
                false => image.note_digest(name, &manifest.digest),
            }
        }
        if known.as_ref() == Some(&image) {
            return Ok(false);
        }
        images.replace(id.hex(), &image, Durability::Synced).map(|()| true)
    }

    /// Returns whether it had to be written.
    pub(super) fn write_ref(&self, reference: &Reference, target: Target) -> Result<bool> {
        let new = RefRecord { version: 1, reference: stored_form(reference), target };
        let (refs, name) = (self.own(REFS)?, key(reference));
        if refs.read::<RefRecord>(name.hex()).is_ok_and(|known| known.as_ref() == Some(&new)) {
            return Ok(false);
        }
        refs.replace(name.hex(), &new, Durability::Synced).map(|()| true)
    }
}
