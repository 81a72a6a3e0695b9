//! Giving images names and taking them away.

use super::records::ImageRecord;
use super::{Images, key, ref_path};
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Image, Reference};
use crate::storage::SharedLock;
use crate::storage::record::{self, Durability, failed};
use std::fs;
use std::io;

impl Images {
    /// Gives an image one more name, which has a registry. A name that meant another image moves.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn tag(&self, _lock: &SharedLock, image: &Image, name: &Reference) -> Result<()> {
        let found = self.image_records()?.into_iter().find(|(r, _)| r.id == image.id);
        let lost = || Error::new(Kind::NotFound, format!("image {} is gone", image.id.short()));
        let (found, read_only) = found.ok_or_else(lost)?;
        let manifest = found.manifests.iter().find(|m| m.digest == image.manifest);
        let manifest = manifest.or(found.manifests.first()).ok_or_else(lost)?;
        self.write_ref(name, &image.id, manifest)?;
        if !read_only {
            self.note_name(&image.id, name, &manifest.digest)?;
        }
        self.write_index()
    }

    fn note_name(&self, id: &Digest, name: &Reference, manifest: &Digest) -> Result<()> {
        let path = self.roots.data.join("images").join(id.hex());
        let _lock = self.records_lock()?;
        let Some(mut record) = record::read::<ImageRecord>(&path)? else { return Ok(()) };
        record.note_name(name);
        record.note_digest(name, manifest);
        record::replace(&path, &record, Durability::Synced)
    }

    /// Takes a name away; the image stays.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the name is not in our own store.
    pub fn untag(&self, name: &Reference) -> Result<()> {
        let path = ref_path(&self.roots.data, &key(name));
        match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::new(Kind::NotFound, format!("{name}: no such image name")));
            }
            other => other.map_err(|e| failed("remove", &path, e))?,
        }
        if let Some(dir) = path.parent() {
            record::sync_dir(dir)?;
        }
        self.write_index()
    }

    /// The names of an image in our own store, sorted.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn names(&self, id: &Digest) -> Result<Vec<Reference>> {
        let own = self.ref_records()?.into_iter().filter(|(r, read_only)| !read_only && r.id == *id);
        let mut names: Vec<Reference> = own.map(|(r, _)| r.reference).collect();
        names.sort();
        Ok(names)
    }
}
