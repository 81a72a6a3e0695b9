//! Caches in other places that were found: lists of steps, kept in memory.
//!
//! Theory of operation. A list says what steps have come to, and nobody here has seen them work. So nothing of it gets
//! into our own cache but a step that this build asks for by its key, when our own cache does not have it; its layer is
//! fetched then. The processes of stages inherit the lists.

use super::request::CachePlace;
use crate::registry::Prepared;
use crate::storage::archive::FoundCache;
use std::cell::Cell;
use std::path::PathBuf;

/// A cache that was found.
#[derive(Debug)]
pub(super) struct Cache {
    /// Its name, for messages.
    pub place: CachePlace,
    /// Where its layers are.
    pub from: Where,
    /// Its steps.
    pub found: FoundCache,
    /// Whether it has disappointed; it is left alone then.
    pub broken: Cell<bool>,
}

/// Where layers are fetched from.
#[derive(Debug)]
pub(super) enum Where {
    /// A directory.
    Directory(PathBuf),
    /// A registry.
    Registry(Prepared),
}
