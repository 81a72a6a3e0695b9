//! A step that is ready.

use crate::image::Digest;
use crate::storage::build::StepKind;

/// A step that is ready to be looked up, or worked off.
#[derive(Debug)]
pub(in crate::build) struct Step<W> {
    /// What its result depends on.
    pub(in crate::build) key: Digest,
    /// What history says of it.
    pub(in crate::build) told: String,
    /// What a listing of the cache says it is.
    pub(in crate::build) kind: StepKind,
    /// What is to be done.
    pub(super) work: W,
}

impl<W> Step<W> {
    /// The same step, whose work is one of several kinds.
    pub(super) fn of<V>(self, kind: impl FnOnce(W) -> V) -> Step<V> {
        Step { key: self.key, told: self.told, kind: self.kind, work: kind(self.work) }
    }
}
