//! The build cache: what builds leave for later builds.
//!
//! Theory of operation. `build/` in the data root is made on demand and contains:
//!
//! ```text
//! steps/<key>      the result of a step: the layer that it made. The key is a digest of all that it depends on
//! locks/<key>      locked by whoever works off that step
//! contexts/<hash>  what is known of a build context's files, so that they are not read again
//! memo/<digest>    digests of parts of layers
//! mounts/<hash>/   a cache mount: data/, a record and a lock
//! running/<name>   locked by a running build: the layers and blobs that it needs
//! ```
//!
//! All of it may be lost at any time: a record that is missing or damaged costs work and nothing else, so none is
//! synced. A step's record keeps its layer, and those below, as an image does.

mod locks;
mod mounts;
mod notes;
mod prune;
mod running;
mod steps;
mod usage;

pub use locks::StepLock;
pub use mounts::{CacheMount, Sharing};
pub use prune::PruneRequest;
pub use running::{Needed, RunningBuild};
pub use steps::{StepKind, StepRecord};
pub use usage::Entry;

use super::layers::Layers;
use super::place::Place;
use super::roots::Roots;
use crate::error::Result;
use std::sync::Arc;

/// The build cache of a store.
#[derive(Debug, Clone)]
pub struct BuildCache {
    roots: Arc<Roots>,
    layers: Layers,
}

impl BuildCache {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        BuildCache { layers: Layers::new(roots.clone()), roots }
    }

    /// One of its directories; `None` when nothing was kept there yet.
    fn part(&self, name: &str) -> Result<Option<Place>> {
        Place::find(&self.roots.data.join("build").join(name))
    }

    /// One of its directories, made if it is missing.
    fn make_part(&self, name: &str) -> Result<Place> {
        let build = Place::make(&self.roots.data.join("build"))?;
        Place::make(&build.path().join(name))
    }
}

#[cfg(test)]
mod tests;
