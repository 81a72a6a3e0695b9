//! Changing several images at once.
//!
//! What follows from a change reads the records of all images: the index for other programs, and which blobs and
//! layers are needed no more. For many changes it is done once, behind them. Whoever is killed meanwhile leaves an index
//! that the next change brings up to date, and blobs and layers that `image prune` removes.

use super::Images;
use super::records::ImageRecord;
use crate::error::Result;
use crate::storage::{ExclusiveLock, lock};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is to be done later; `None` for what is done at once.
#[derive(Debug, Default)]
pub(super) struct Postponed(Mutex<Option<Later>>);

#[derive(Debug, Default)]
struct Later {
    index: bool,
    gone: Vec<ImageRecord>,
}

impl Postponed {
    fn state(&self) -> MutexGuard<'_, Option<Later>> {
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

impl Images {
    /// Does work that changes several images, and what follows from all of it behind it. `held` is the lock that the work
    /// is done under, if it is done under one.
    ///
    /// # Errors
    /// Those of the work; when the file system refuses.
    pub fn together<T>(&self, held: Option<&ExclusiveLock>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        *self.postponed.state() = Some(Later::default());
        let done = work();
        let later = self.postponed.state().take().unwrap_or_default();
        if later.index {
            self.derive_index();
        }
        if later.gone.is_empty() {
            return done;
        }
        let own = if held.is_none() { Some(lock::exclusive(&self.roots.data)?) } else { None };
        let discarded =
            held.or(own.as_ref()).map_or(Ok(Vec::new()), |lock| self.discard_contents(lock, &later.gone));
        done.and_then(|done| discarded.map(|_| done))
    }
}
