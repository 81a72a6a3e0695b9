//! Which images were made of which.
//!
//! Nothing records that. As in podman, an image is the parent of another one that has its layers and its history, and
//! one step more. How many steps and which layers an image has is known of each in a listing; only of those that may be
//! parent and child is the history read.

use super::{Images, Listed, parse_config};
use crate::image::{Digest, HistoryEntry};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Finds parents among the images of a listing.
pub(super) struct Family<'a> {
    images: &'a Images,
    /// Histories that were read; `None` for what cannot be.
    known: RefCell<HashMap<Digest, Option<Rc<Vec<HistoryEntry>>>>>,
}

impl<'a> Family<'a> {
    pub(super) fn of(images: &'a Images) -> Family<'a> {
        Family { images, known: RefCell::default() }
    }

    /// Whether one image is the parent of another; `None` if that is unknown, as a configuration cannot be read.
    pub(super) fn is_parent(&self, parent: &Listed, child: &Listed) -> Option<bool> {
        let (of, to) = (&parent.image, &child.image);
        let may_be = to.steps == of.steps + 1 && to.layers.starts_with(&of.layers);
        if !may_be || parent.is_list || child.is_list {
            return Some(false);
        }
        Some(self.history(&to.id)?.starts_with(&self.history(&of.id)?))
    }

    fn history(&self, id: &Digest) -> Option<Rc<Vec<HistoryEntry>>> {
        if let Some(known) = self.known.borrow().get(id) {
            return known.clone();
        }
        let bytes = self.images.blobs.read(id).ok().flatten();
        let config = bytes.and_then(|bytes| parse_config(&bytes, id).ok());
        let history = config.map(|config| Rc::new(config.history));
        self.known.borrow_mut().insert(id.clone(), history.clone());
        history
    }

    /// Notes of the images without a name whether another one was made of them. What may have been, was.
    pub(super) fn note_children(&self, all: &mut [Listed]) {
        let nameless = all.iter().enumerate().filter(|(_, listed)| listed.names.is_empty());
        let has_child =
            |listed: &Listed| all.iter().any(|other| self.is_parent(listed, other) != Some(false));
        let parents: Vec<usize> =
            nameless.filter(|(_, listed)| has_child(listed)).map(|(at, _)| at).collect();
        for at in parents {
            all[at].has_children = true;
        }
    }
}
