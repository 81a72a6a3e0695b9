//! Adding and removing names of images.

use super::records::{ImageRecord, Target};
use super::{IMAGES, Images, REFS, key};
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::image::{Digest, Image, Reference};
use crate::storage::SharedLock;
use crate::storage::record::Durability;

impl Images {
    /// Adds a name, which includes a registry, to an image. If another image has it, the name is moved.
    ///
    /// The order: the image's record notes the name, which says nothing by itself; then the name's own record
    /// decides; what is derived of both comes last, and need not succeed.
    ///
    /// # Errors
    /// When the file system refuses; the name is what it was then.
    pub fn tag(&self, _lock: &SharedLock, image: &Image, name: &Reference) -> Result<()> {
        let found = self.image_records()?.into_iter().find(|(r, _)| r.id == image.id);
        let lost = || Error::new(Kind::NotFound, format!("image {} is gone", image.id.short()));
        let (found, read_only) = found.ok_or_else(lost)?;
        let manifest = found.manifests.iter().find(|m| m.digest == image.manifest);
        let manifest = manifest.or(found.manifests.first()).ok_or_else(lost)?;
        if !read_only {
            self.note_name(&image.id, name, &manifest.digest)?;
        }
        failpoint::reach("tag.noted");
        self.write_ref(name, Target::Image { id: image.id.clone(), manifest: manifest.clone() })?;
        failpoint::reach("tag.named");
        self.derive_index();
        Ok(())
    }

    fn note_name(&self, id: &Digest, name: &Reference, manifest: &Digest) -> Result<()> {
        let images = self.own(IMAGES)?;
        let _lock = self.records_lock()?;
        let Some(mut record) = images.read::<ImageRecord>(id.hex())? else { return Ok(()) };
        record.note_name(name);
        record.note_digest(name, manifest);
        images.replace(id.hex(), &record, Durability::Synced)
    }

    /// Takes a name away; the image stays.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the name is not in our own store.
    pub fn untag(&self, name: &Reference) -> Result<()> {
        let refs = self.own(REFS)?;
        if !refs.remove_file(key(name).hex())? {
            return Err(Error::new(Kind::NotFound, format!("{name}: no such image name")));
        }
        failpoint::reach("untag.removed");
        refs.sync()?;
        self.derive_index();
        Ok(())
    }

    /// The names of an image or a list in our own store, sorted.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn names(&self, id: &Digest) -> Result<Vec<Reference>> {
        let own = self.ref_records()?.into_iter().filter(|(r, read_only)| !read_only && r.target.id() == id);
        let mut names: Vec<Reference> = own.map(|(r, _)| r.reference).collect();
        names.sort();
        Ok(names)
    }
}
