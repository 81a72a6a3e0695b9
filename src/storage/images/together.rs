//! Changing several images at once.
//!
//! What follows from a change reads the records of all images: the index for other programs, and which blobs and
//! layers are needed no more. For many changes it is done once, behind them. Whoever is killed meanwhile leaves an index
//! that the next change brings up to date, and blobs and layers that `image prune` removes.

use super::Images;
use super::postponed::Later;
use crate::error::Result;
use crate::storage::{ExclusiveLock, lock};

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
