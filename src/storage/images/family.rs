//! Which images were made of which.
//!
//! Nothing records that. As in podman, an image is the parent of another one that has its layers and its history, and
//! one step more.

use super::{Images, Listed};
use crate::error::Result;
use crate::image::{Digest, HistoryEntry, ImageConfig};

fn is_parent(parent: &ImageConfig, child: &ImageConfig) -> bool {
    let (steps, more): (&[HistoryEntry], &[HistoryEntry]) = (&parent.history, &child.history);
    more.len() == steps.len() + 1
        && more.starts_with(steps)
        && child.rootfs.diff_ids.starts_with(&parent.rootfs.diff_ids)
}

/// Notes of the images without a name whether another one was made of them.
pub(super) fn note_children(all: &mut [Listed]) {
    let nameless = all.iter().enumerate().filter(|(_, listed)| listed.names.is_empty() && !listed.is_list);
    let is_parent =
        |listed: &Listed| all.iter().any(|other| is_parent(&listed.image.config, &other.image.config));
    let parents: Vec<usize> = nameless.filter(|(_, listed)| is_parent(listed)).map(|(at, _)| at).collect();
    for at in parents {
        all[at].has_children = true;
    }
}

impl Images {
    /// The images of our own store without a name that an image was made of, and nothing else: they are of no use
    /// without it. The nearest comes first.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn lonely_parents(&self, id: &Digest) -> Result<Vec<Digest>> {
        let all = self.list()?;
        let mut found = Vec::new();
        let Some(mut child) = all.iter().find(|listed| listed.image.id == *id) else { return Ok(found) };
        loop {
            let of = |parent: &Listed, child: &Listed| is_parent(&parent.image.config, &child.image.config);
            let is_lonely = |listed: &&Listed| {
                let free = listed.names.is_empty() && listed.lists.is_empty() && !listed.read_only;
                free && of(listed, child)
                    && !all.iter().any(|other| other.image.id != child.image.id && of(listed, other))
            };
            let Some(parent) = all.iter().find(is_lonely) else { return Ok(found) };
            found.push(parent.image.id.clone());
            child = parent;
        }
    }
}
