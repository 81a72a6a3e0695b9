//! What goes with an image that is removed: images without a name that it alone was made of.

use super::family::Family;
use super::{Images, Listed};
use crate::error::Result;
use crate::image::Digest;

impl Images {
    /// The images of our own store without a name that an image was made of, and nothing else: they are of no use
    /// without it. The nearest comes first.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn lonely_parents(&self, id: &Digest) -> Result<Vec<Digest>> {
        let (all, family) = (self.list()?, Family::of(self));
        let mut found = Vec::new();
        let Some(mut child) = all.iter().find(|listed| listed.image.id == *id) else { return Ok(found) };
        loop {
            let is_lonely = |listed: &&Listed| {
                let free = listed.names.is_empty() && listed.lists.is_empty() && !listed.read_only;
                let has_other = || {
                    let mut others = all.iter().filter(|other| other.image.id != child.image.id);
                    others.any(|other| family.is_parent(listed, other) != Some(false))
                };
                free && family.is_parent(listed, child) == Some(true) && !has_other()
            };
            let Some(parent) = all.iter().find(is_lonely) else { return Ok(found) };
            found.push(parent.image.id.clone());
            child = parent;
        }
    }
}
