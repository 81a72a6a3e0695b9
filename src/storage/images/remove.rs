//! Removing images, and what is needed to do it without taking anything that is still of use.

use super::records::{BlobsOf, ImageRecord, PlanPart};
use super::{Images, file_names, key, parse_config, ref_path};
use crate::container::ContainerId;
use crate::error::{Error, Kind, Result};
use crate::image::{ChainId, Digest, Reference};
use crate::storage::ExclusiveLock;
use crate::storage::events::{Action, Event, Events};
use crate::storage::record::{self, failed};
use crate::storage::rootfs::RootPlan;
use std::collections::HashSet;
use std::fs;

/// What a removal did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that were taken away.
    pub untagged: Vec<Reference>,
    /// The image, when it is gone.
    pub deleted: Option<Digest>,
    /// Layers that went with it; they are in the trash.
    pub layers: Vec<ChainId>,
}

impl Images {
    /// The containers of our store that were made from this image.
    ///
    /// # Errors
    /// When the directory of containers cannot be read.
    pub fn users(&self, id: &Digest) -> Result<Vec<ContainerId>> {
        let plans = self.plans()?;
        Ok(plans
            .into_iter()
            .filter(|p| p.image.as_ref().is_some_and(|i| i.id == *id) || p.mounted().any(|i| i.id == *id))
            .map(|p| p.id)
            .collect())
    }

    /// Removes an image with all its names, and what nothing else needs: its blobs and its layers. The
    /// layers are in the trash afterwards; see [`crate::storage::trash::sweep`].
    ///
    /// # Errors
    /// [`Kind::Conflict`] when containers were made from it or it lies in an additional store.
    pub fn remove(&self, _lock: &ExclusiveLock, id: &Digest) -> Result<Removed> {
        let path = self.roots.data.join("images").join(id.hex());
        let Some(gone) = record::read::<ImageRecord>(&path)? else {
            return Err(Error::new(
                Kind::Storage,
                format!("image {} lies in an additional store, which is read-only", id.short()),
            ));
        };
        if let Some(user) = self.users(id)?.first() {
            return Err(Error::new(
                Kind::Conflict,
                format!("image {} is in use by container {}", id.short(), user.short()),
            )
            .hint("Remove the container first: coracle rm CONTAINER; or both: coracle rmi --force IMAGE"));
        }
        let mut removed = Removed { deleted: Some(id.clone()), ..Removed::default() };
        for (found, read_only) in self.ref_records()? {
            if found.id == *id && !read_only {
                let path = ref_path(&self.roots.data, &key(&found.reference));
                fs::remove_file(&path).map_err(|e| failed("remove", &path, e))?;
                removed.untagged.push(found.reference);
            }
        }
        fs::remove_file(&path).map_err(|e| failed("remove", &path, e))?;
        self.write_index()?;
        let mut blobs: HashSet<Digest> = HashSet::new();
        self.blobs_of(&gone, &mut blobs);
        let mut kept: HashSet<Digest> = HashSet::new();
        for (other, read_only) in self.image_records()? {
            if !read_only {
                self.blobs_of(&other, &mut kept);
            }
        }
        let used = self.used_layers()?;
        for blob in blobs.difference(&kept) {
            self.blobs.remove(blob)?;
        }
        removed.layers = self.layers.discard_unused(&used)?;
        removed.untagged.sort();
        let told = Event::image_named(Action::Remove, id.as_str(), id.hex());
        Events::new(&self.roots.data).emit(told);
        Ok(removed)
    }

    /// Collects every digest an image's manifests name; unreadable manifests name nothing.
    pub(super) fn blobs_of(&self, image: &ImageRecord, into: &mut HashSet<Digest>) {
        into.insert(image.id.clone());
        for manifest in &image.manifests {
            into.insert(manifest.digest.clone());
            let Ok(Some(bytes)) = self.blobs.read(&manifest.digest) else { continue };
            let Ok(content) = serde_json::from_slice::<BlobsOf>(&bytes) else { continue };
            into.extend(content.layers.into_iter().map(|l| l.digest));
        }
    }

    /// The layers that images of our own store and containers need.
    pub(super) fn used_layers(&self) -> Result<HashSet<ChainId>> {
        let mut used = HashSet::new();
        for (image, read_only) in self.image_records()? {
            if !read_only && let Some(bytes) = self.blobs.read(&image.id)? {
                used.extend(ChainId::chain(&parse_config(&bytes, &image.id)?.rootfs.diff_ids));
            }
        }
        for (found, read_only) in self.ref_records()? {
            if !read_only && let Some(bytes) = self.blobs.read(&found.id)? {
                used.extend(ChainId::chain(&parse_config(&bytes, &found.id)?.rootfs.diff_ids));
            }
        }
        for plan in self.plans()? {
            used.extend(plan.mounted().flat_map(|image| &image.layers).cloned());
            if let RootPlan::Layers(layers) = plan.root {
                used.extend(layers);
            }
        }
        Ok(used)
    }

    fn plans(&self) -> Result<Vec<PlanPart>> {
        let dir = self.roots.data.join("containers");
        let mut plans = Vec::new();
        for name in file_names(&dir)? {
            // A container removed under our eyes, or not complete yet, has no plan.
            let plan = record::read::<PlanPart>(&dir.join(&name).join("plan.json"));
            plans.extend(
                plan.map_err(|e| e.hint(format!("Remove the container: coracle rm --force {name}")))?,
            );
        }
        Ok(plans)
    }
}
