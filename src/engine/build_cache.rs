//! The build cache as users see it: what is in it, and removing what is not needed.

mod filter;
mod record;

pub use filter::Filters;
pub use record::Record;

use super::{containers, disk_usage};
use crate::error::Result;
use crate::storage::Store;
use crate::storage::build::{self, Entry};
use chrono::{DateTime, Utc};

/// What is removed of the build cache.
#[derive(Debug, Clone, Default)]
pub struct PruneRequest {
    /// What images have, too, and what is of no interest to users.
    pub all: bool,
    /// Only what was not used since then.
    pub unused_since: Option<DateTime<Utc>>,
    /// That was used longest ago goes first, until what is left takes at most so many bytes.
    pub keep: Option<u64>,
    /// Only what meets these conditions.
    pub filters: Filters,
}

impl PruneRequest {
    /// What the store is asked to remove.
    pub(super) fn asked<'a>(&self, wanted: &'a dyn Fn(&Entry) -> bool) -> build::PruneRequest<'a> {
        build::PruneRequest { all: self.all, unused_since: self.unused_since, keep: self.keep, wanted }
    }
}

/// What was removed.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The records.
    pub records: Vec<Record>,
    /// Bytes that were freed.
    pub freed: u64,
}

/// What the build cache consists of, that was used last first.
///
/// # Errors
/// When a directory cannot be read.
pub fn usage(store: &Store) -> Result<Vec<Record>> {
    let entries = store.build_cache().usage(store.images(), &disk_usage::sizes(store)?)?;
    Ok(entries.iter().map(Record::from).collect())
}

/// Removes parts of the build cache that no running build needs.
///
/// # Errors
/// When the store is in use by other commands, or the file system refuses.
pub fn prune(store: &Store, request: &PruneRequest) -> Result<Pruned> {
    let before = disk_usage::sizes(store)?;
    let wanted = |entry: &Entry| request.filters.accepts(&Record::from(entry));
    let lock = store.exclusive()?;
    let entries = store.build_cache().prune(&lock, store.images(), &before, request.asked(&wanted))?;
    drop(lock);
    containers::sweep(store)?;
    let after: u64 = disk_usage::sizes(store)?.values().sum();
    // What running containers write meanwhile must not make this negative.
    let freed = before.values().sum::<u64>().saturating_sub(after);
    Ok(Pruned { records: entries.iter().map(Record::from).collect(), freed })
}
