//! Blobs that nothing names.

use super::records::Target;
use super::{Images, damage};
use crate::error::Result;
use crate::image::Digest;
use crate::storage::ExclusiveLock;
use std::collections::HashSet;

impl Images {
    /// Removes those of these blobs of our own that no image names, and what was downloaded of them.
    ///
    /// # Errors
    /// When a record cannot be read or the file system refuses.
    pub fn discard_blobs(&self, _lock: &ExclusiveLock, blobs: &[Digest]) -> Result<()> {
        let Some(named) = self.named_blobs()? else { return Ok(()) };
        for blob in blobs.iter().filter(|blob| !named.contains(blob)) {
            self.blobs.remove(blob)?;
            self.blobs.remove_partial(blob)?;
        }
        Ok(())
    }

    /// The blobs that images of our own store need; `None` if that is unknown, because a record or a manifest
    /// cannot be read.
    pub(super) fn named_blobs(&self) -> Result<Option<HashSet<Digest>>> {
        let mut named: HashSet<Digest> = HashSet::new();
        let mut all_known = !self.has_lost_records()?;
        for (image, read_only) in self.image_records()? {
            if !read_only {
                all_known &= self.blobs_of(&image, &mut named);
            }
        }
        named.extend(self.list_records()?.into_iter().map(|(list, _)| list.index.digest));
        if !all_known {
            damage::warn();
            return Ok(None);
        }
        named.extend(self.ref_records()?.into_iter().filter_map(|(found, _)| match found.target {
            Target::Image { manifest, .. } => Some(manifest.digest),
            Target::List { .. } => None,
        }));
        named.extend(self.build_cache.needed()?.blobs);
        Ok(Some(named))
    }
}
