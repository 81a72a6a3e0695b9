//! Removing unused images.

use super::{IMAGES, Images, Listed, REFS, damage};
use crate::error::Result;
use crate::image::Digest;
use crate::storage::containers::Unreadable;
use crate::storage::{ExclusiveLock, lock};

impl Images {
    /// Removes the images of our own store that no container was made from, that no list has and that have no name, or
    /// with `all` whatever their names; before them lists likewise, of whose images no container was made. Only
    /// those that `wanted` accepts. Returns their ids.
    ///
    /// # Errors
    /// As [`Images::remove`]; those before the failing one are gone.
    pub fn prune(
        &self,
        lock: &ExclusiveLock,
        all: bool,
        wanted: impl Fn(&Listed) -> bool,
    ) -> Result<Vec<Digest>> {
        self.together(Some(lock), || self.prune_each(lock, all, wanted))
    }

    fn prune_each(
        &self,
        lock: &ExclusiveLock,
        all: bool,
        wanted: impl Fn(&Listed) -> bool,
    ) -> Result<Vec<Digest>> {
        let mut gone = Vec::new();
        let specs = self.specs()?;
        specs.unreadable.iter().for_each(Unreadable::warn);
        let mut has_user = |image: &Digest| {
            !specs.unreadable.is_empty() || specs.read.iter().any(|(_, spec)| spec.uses_image(image))
        };
        for (list, listed) in self.lists()? {
            let candidate = !listed.read_only && (all || listed.names.is_empty());
            let used = list.parts.iter().filter_map(|part| part.image.as_ref()).any(&mut has_user);
            if candidate && !used && wanted(&listed) {
                self.remove_list(lock, &list.id)?;
                gone.push(list.id);
                crate::failpoint::reach("prune.list");
            }
        }
        // It may have any of them.
        let lists_known = self.lost_lists()?.is_empty();
        if !lists_known {
            damage::warn();
        }
        // What an image was made of comes after it.
        let mut more = lists_known;
        let mut removal = self.removal(lock)?;
        while more {
            more = false;
            for listed in self.list()? {
                let unwanted = listed.is_dangling() || all && listed.lists.is_empty();
                if unwanted && !listed.read_only && !has_user(&listed.image.id) && wanted(&listed) {
                    removal.remove(&listed.image.id)?;
                    gone.push(listed.image.id);
                    crate::failpoint::reach("prune.image");
                    more = !all;
                }
            }
        }
        self.discard_orphans(lock)?;
        Ok(gone)
    }

    /// Removes what no image and no container names: layers, and blobs that nobody is about to name. Commands
    /// that failed or were killed leave such.
    fn discard_orphans(&self, _lock: &ExclusiveLock) -> Result<()> {
        for kind in [IMAGES, REFS, "oci"] {
            self.own(kind)?.clear_unfinished()?;
        }
        if let Some(lists) = self.own_lists()? {
            lists.clear_unfinished()?;
        }
        let (_alone, age) = lock::orphan_age(&self.roots.data)?;
        if let Some(named) = self.named_blobs()? {
            for blob in self.blobs.list_older(age)? {
                if !named.contains(&blob) {
                    self.blobs.remove(&blob)?;
                    crate::failpoint::reach("prune.blob");
                }
            }
        }
        match self.used_layers()? {
            Some(used) => self.layers.discard_unused(&used, |_, there| there >= age).map(drop),
            None => Ok(()),
        }
    }
}
