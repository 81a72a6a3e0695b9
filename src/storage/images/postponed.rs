//! What follows from changes to images, while it is put off.

use super::records::ImageRecord;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is to be done later; `None` for what is done at once.
#[derive(Debug, Default)]
pub(super) struct Postponed(Mutex<Option<Later>>);

/// What follows from changes.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// The index is to be derived.
    pub(super) index: bool,
    /// Images whose blobs and layers may be needed no more.
    pub(super) gone: Vec<ImageRecord>,
}

impl Postponed {
    /// What is known so far.
    pub(super) fn state(&self) -> MutexGuard<'_, Option<Later>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the index is derived later.
    pub(super) fn index(&self) -> bool {
        self.state().as_mut().map(|later| later.index = true).is_some()
    }

    /// Whether what an image was made of is removed later.
    pub(super) fn contents_of(&self, gone: &ImageRecord) -> bool {
        self.state().as_mut().map(|later| later.gone.push(gone.clone())).is_some()
    }
}
