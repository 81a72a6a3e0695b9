//! Which images were made of which.
//!
//! Nothing records that. As in podman, an image is the parent of another one that has its layers and its history, and
//! one step more.

use super::Listed;
use crate::image::{HistoryEntry, ImageConfig};

/// Whether an image with this configuration is the parent of one with that.
pub(super) fn is_parent(parent: &ImageConfig, child: &ImageConfig) -> bool {
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
