//! Removing what builds have left.

use super::BuildCache;
use super::locks::try_lock;
use super::mounts::{LOCK, MOUNTS};
use super::steps::{STEPS, StepKind, StepRecord};
use super::usage::{Entry, What};
use crate::error::Result;
use crate::image::{ChainId, Digest};
use crate::storage::images::Images;
use crate::storage::{ExclusiveLock, trash};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What is removed.
#[derive(Clone, Copy)]
pub struct PruneRequest<'a> {
    /// What images have, too, and what is of no interest to users: all that no running build needs.
    pub all: bool,
    /// Only what was not used since then.
    pub unused_since: Option<DateTime<Utc>>,
    /// That was used longest ago goes first, until all that is left takes at most so many bytes.
    pub keep: Option<u64>,
    /// Only what this accepts.
    pub wanted: &'a dyn Fn(&Entry) -> bool,
}

impl BuildCache {
    /// Removes what builds have left, and the layers that nothing needs then; returns what has gone. Layers and mounts are in
    /// the trash afterwards; see [`crate::storage::trash::sweep`]. `sizes` are those of the data root.
    ///
    /// Results that others stand on stay as long as those.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn prune(
        &self,
        lock: &ExclusiveLock,
        images: &Images,
        sizes: &BTreeMap<String, u64>,
        request: PruneRequest<'_>,
    ) -> Result<Vec<Entry>> {
        let entries = self.usage(images, sizes)?;
        let mut left: u64 = entries.iter().map(|entry| entry.size).sum();
        let is_enough = |left: u64| request.keep.is_some_and(|keep| left <= keep);
        // How many results stand on each layer.
        let mut above: HashMap<ChainId, usize> = HashMap::new();
        for entry in &entries {
            for layer in entry.below() {
                *above.entry(layer.clone()).or_default() += 1;
            }
        }
        // That was used longest ago is last.
        let mut candidates: Vec<Entry> = entries.into_iter().filter(|entry| request.accepts(entry)).collect();
        let mut gone = Vec::new();
        while !is_enough(left) {
            let stands_alone =
                |entry: &Entry| entry.top().is_none_or(|top| above.get(top).is_none_or(|n| *n == 0));
            let Some(at) = candidates.iter().rposition(stands_alone) else { break };
            let entry = candidates.remove(at);
            if !self.remove(&entry)? {
                continue;
            }
            crate::failpoint::reach("buildcache.removed");
            for layer in entry.below() {
                above.entry(layer.clone()).and_modify(|count| *count -= 1);
            }
            left -= entry.size;
            gone.push(entry);
        }
        self.tidy()?;
        if gone.iter().any(|entry| entry.top().is_some()) {
            let layers: BTreeSet<&ChainId> = gone.iter().flat_map(Entry::layers).collect();
            let layers: Vec<ChainId> = layers.into_iter().cloned().collect();
            images.discard_if_unused(lock, &layers)?;
        }
        Ok(gone)
    }

    /// The results that stand on one of these layers.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn steps_on(&self, layers: &[ChainId]) -> Result<Vec<StepRecord>> {
        if layers.is_empty() {
            return Ok(Vec::new());
        }
        let stands_on =
            |record: &StepRecord| self.stack_of(record.top()).iter().any(|layer| layers.contains(layer));
        Ok(self.steps()?.into_iter().filter(stands_on).collect())
    }

    /// Removes one; false when somebody has begun to use it.
    fn remove(&self, entry: &Entry) -> Result<bool> {
        match &entry.what {
            What::Step(_) => match format!("sha256:{}", entry.id).parse::<Digest>() {
                Ok(key) => self.forget(&key)?,
                Err(_) => return Ok(false),
            },
            What::Note(part) => {
                if let Some(dir) = self.part(part)? {
                    dir.remove_file(&entry.id)?;
                }
            }
            What::Mount => {
                let Some(mounts) = self.part(MOUNTS)? else { return Ok(true) };
                let Some(home) = mounts.below(&entry.id)? else { return Ok(true) };
                // Held until it is out of sight.
                let Some(_lock) = try_lock(&home, LOCK, true)? else { return Ok(false) };
                trash::discard(&self.roots.data, &mounts, &entry.id)?;
            }
        }
        Ok(true)
    }

    /// Removes what killed builds have left: half-written records, and locks.
    fn tidy(&self) -> Result<()> {
        self.needed()?;
        for part in [STEPS, super::notes::CONTEXTS, super::notes::MEMO] {
            if let Some(dir) = self.part(part)? {
                dir.clear_unfinished()?;
            }
        }
        let Some(locks) = self.part(super::locks::LOCKS)? else { return Ok(()) };
        for name in locks.names()? {
            if let Some(_lock) = try_lock(&locks, &name, true)? {
                locks.remove_file(&name)?;
            }
        }
        Ok(())
    }
}

impl PruneRequest<'_> {
    fn accepts(&self, entry: &Entry) -> bool {
        let dangling = !entry.shared && entry.kind != StepKind::Internal;
        !entry.in_use
            && (self.all || dangling)
            && self.unused_since.is_none_or(|since| entry.used < since)
            && (self.wanted)(entry)
    }
}

impl Entry {
    /// The layers of a result, topmost first.
    fn layers(&self) -> &[ChainId] {
        match &self.what {
            What::Step(layers) => layers,
            _ => &[],
        }
    }

    fn top(&self) -> Option<&ChainId> {
        self.layers().first()
    }

    fn below(&self) -> &[ChainId] {
        self.layers().get(1..).unwrap_or_default()
    }
}
