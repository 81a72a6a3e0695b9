//! The build cache as users see it: what is in it, and removing what is not needed.

mod filter;
mod record;
pub mod registry;

pub use filter::Filters;
pub use record::Record;

use super::disk_usage;
use crate::error::Result;
use crate::storage::build::{self, Entry};
use crate::storage::{Store, room};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// What is removed of the build cache.
#[derive(Debug, Clone, Default)]
pub struct PruneRequest {
    /// What images have, too, and what is of no interest to users.
    pub all: bool,
    /// Only what was not used since then.
    pub unused_since: Option<DateTime<Utc>>,
    /// How much may stay: that was used longest ago goes first.
    pub space: Space,
    /// Only what meets these conditions.
    pub filters: Filters,
}

/// How much of the build cache may stay, as `buildx prune` has it; without any of these nothing may. All in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// So much stays in any case.
    pub reserved: Option<u64>,
    /// No more than so much stays.
    pub most: Option<u64>,
    /// So much is to be free on the disk.
    pub free: Option<u64>,
}

impl Space {
    /// How much stays of a total, with so much free on the disk; `None` is nothing.
    fn keep(&self, total: u64, free: u64) -> Option<u64> {
        let lacking = self.free.map(|wanted| total.saturating_sub(wanted.saturating_sub(free)));
        let most = match (self.most, lacking) {
            (Some(most), Some(lacking)) => Some(most.min(lacking)),
            (most, lacking) => most.or(lacking),
        };
        match (most, self.reserved) {
            (Some(most), reserved) => Some(most.max(reserved.unwrap_or_default())),
            (None, reserved) => reserved,
        }
    }
}

impl PruneRequest {
    /// What the store is asked to remove. `sizes` are those of the data root.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub(super) fn asked<'a>(
        &self,
        store: &Store,
        sizes: &BTreeMap<String, u64>,
        wanted: &'a dyn Fn(&Entry) -> bool,
    ) -> Result<build::PruneRequest<'a>> {
        let keep = if self.space == Space::default() {
            None
        } else {
            let entries = store.build_cache().usage(store.images(), sizes)?;
            self.space.keep(entries.iter().map(|entry| entry.size).sum(), room::free(store.data())?)
        };
        Ok(build::PruneRequest { all: self.all, unused_since: self.unused_since, keep, wanted })
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
    let wanted = |entry: &Entry| request.filters.accepts(&Record::from(entry));
    let (entries, freed) = disk_usage::measured(store, |before| {
        let lock = store.exclusive()?;
        store.build_cache().prune(&lock, store.images(), before, request.asked(store, before, &wanted)?)
    })?;
    Ok(Pruned { records: entries.iter().map(Record::from).collect(), freed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_stay_is_buildkits() {
        let keep = |reserved, most, free| Space { reserved, most, free }.keep(100, 30);
        assert_eq!(keep(None, None, None), None);
        assert_eq!(keep(Some(20), None, None), Some(20));
        assert_eq!(keep(None, Some(50), None), Some(50));
        assert_eq!(keep(Some(60), Some(50), None), Some(60));
        // 40 more are to be free; or there are enough.
        assert_eq!(keep(None, None, Some(70)), Some(60));
        assert_eq!(keep(None, None, Some(10)), Some(100));
        assert_eq!(keep(None, Some(50), Some(70)), Some(50));
        assert_eq!(keep(Some(80), None, Some(70)), Some(80));
        assert_eq!(keep(None, None, Some(1000)), Some(0));
    }
}
