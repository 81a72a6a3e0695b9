//! The results of steps.

use super::BuildCache;
use crate::error::Result;
use crate::image::{ChainId, Digest, LAYERS_MAX};
use crate::storage::SharedLock;
use crate::storage::record::Durability;
use crate::storage::trash;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

pub(super) const STEPS: &str = "steps";
/// A record notes its use at most this often.
const NOTED_EVERY: TimeDelta = TimeDelta::hours(1);

/// What made a result, in the words of `buildx du`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepKind {
    /// An instruction.
    #[default]
    #[serde(rename = "regular")]
    Regular,
    /// The files of a context.
    #[serde(rename = "source.local")]
    Local,
    /// A git repository.
    #[serde(rename = "source.git.checkout")]
    Git,
    /// A download.
    #[serde(rename = "source.http")]
    Http,
    /// A cache mount.
    #[serde(rename = "exec.cachemount")]
    CacheMount,
    /// Something that is of no interest to users.
    #[serde(rename = "internal", other)]
    Internal,
}

impl StepKind {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            StepKind::Regular => "regular",
            StepKind::Local => "source.local",
            StepKind::Git => "source.git.checkout",
            StepKind::Http => "source.http",
            StepKind::CacheMount => "exec.cachemount",
            StepKind::Internal => "internal",
        }
    }
}

/// The result of a step; the content of `build/steps/<key>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The record's form, 1.
    pub version: u32,
    /// What it depends on, as a digest.
    pub key: Digest,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was used last; not noted more often than once an hour.
    pub used: DateTime<Utc>,
    /// The layer that it made; `None` when it changed no files.
    pub chain: Option<ChainId>,
    /// The layer below.
    pub parent: Option<ChainId>,
    /// Bytes of the layer's archive.
    pub archive: u64,
    /// The instruction, as it is shown.
    pub description: String,
    /// What made it.
    pub kind: StepKind,
}

impl StepRecord {
    /// A record of something that is done now.
    pub fn new(key: Digest, kind: StepKind, description: impl Into<String>) -> StepRecord {
        let now = Utc::now();
        StepRecord {
            version: 1,
            key,
            created: now,
            used: now,
            chain: None,
            parent: None,
            archive: 0,
            description: description.into(),
            kind,
        }
    }

    /// The topmost layer of its result.
    pub fn top(&self) -> Option<&ChainId> {
        self.chain.as_ref().or(self.parent.as_ref())
    }
}

impl BuildCache {
    /// The result of the step with this key, if there is one and all of its layers are in the store, on each other. Notes
    /// the use.
    /// Nothing keeps it from being removed once the lock is gone; see [`RunningBuild::get`](super::RunningBuild::get).
    pub fn get(&self, lock: &SharedLock, key: &Digest) -> Option<StepRecord> {
        let record = self.find(key)?;
        if let Some(top) = record.top() {
            let layers = self.layers.stack(top).ok()?;
            if layers.len() > LAYERS_MAX {
                return None;
            }
        }
        self.used(lock, record)
    }

    /// As [`BuildCache::get`], if it stands on this layer, which is known to be there with those below it.
    pub(super) fn get_on(
        &self,
        lock: &SharedLock,
        key: &Digest,
        below: Option<&ChainId>,
    ) -> Option<StepRecord> {
        let record = self.find(key).filter(|record| record.parent.as_ref() == below)?;
        self.used(lock, record)
    }

    /// A result that is used now, unless its layer is not there or lies on another one.
    fn used(&self, lock: &SharedLock, mut record: StepRecord) -> Option<StepRecord> {
        if let Some(chain) = &record.chain
            && self.layers.record(chain).ok()?.parent != record.parent
        {
            return None;
        }
        let now = Utc::now();
        if now.signed_duration_since(record.used) >= NOTED_EVERY {
            record.used = now;
            if let Err(e) = self.put(lock, &record) {
                log::info!("the use of a build step is not noted: {}", e.in_one_line());
            }
        }
        Some(record)
    }

    /// The record of a step, whatever became of its layers.
    fn find(&self, key: &Digest) -> Option<StepRecord> {
        let record: StepRecord = self.part(STEPS).ok()??.read(key.hex()).ok()??;
        (record.version == 1 && record.key == *key).then_some(record)
    }

    /// Keeps the result of a step, in place of an earlier one.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn put(&self, _lock: &SharedLock, record: &StepRecord) -> Result<()> {
        self.make_part(STEPS)?.replace(record.key.hex(), record, Durability::Volatile)?;
        crate::failpoint::reach("step.recorded");
        Ok(())
    }

    /// Forgets the result of a step.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn forget(&self, key: &Digest) -> Result<()> {
        match self.part(STEPS)? {
            Some(steps) => steps.remove_file(key.hex()).map(drop),
            None => Ok(()),
        }
    }

    /// All results whose records can be read.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn steps(&self) -> Result<Vec<StepRecord>> {
        let Some(steps) = self.part(STEPS)? else { return Ok(Vec::new()) };
        let keys = steps.names()?.into_iter().filter_map(|name| format!("sha256:{name}").parse().ok());
        Ok(keys.filter_map(|key| self.find(&key)).collect())
    }

    /// The layers of all results, with those below them.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn layers(&self) -> Result<HashSet<ChainId>> {
        Ok(self.with_those_below(self.steps()?.into_iter().filter_map(|record| record.top().cloned())))
    }

    /// These layers, with those below them.
    pub(in crate::storage) fn with_those_below(
        &self,
        layers: impl IntoIterator<Item = ChainId>,
    ) -> HashSet<ChainId> {
        let mut all = HashSet::new();
        for layer in layers {
            let mut next = Some(layer);
            while let Some(id) = next.filter(|id| !all.contains(id)) {
                next = self.layers.record(&id).ok().and_then(|layer| layer.parent);
                all.insert(id);
            }
        }
        all
    }

    /// A layer and those below it, topmost first; those that are missing end it.
    pub(super) fn stack_of(&self, top: Option<&ChainId>) -> Vec<ChainId> {
        let Some(top) = top else { return Vec::new() };
        self.layers.down(top).take(LAYERS_MAX).map(|(id, _)| id).collect()
    }

    /// The names of what is no record among the records, and what is wrong.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn damaged_steps(&self) -> Result<Vec<(String, String)>> {
        let Some(steps) = self.part(STEPS)? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for name in steps.names()? {
            let what = match steps.read::<StepRecord>(&name) {
                Err(e) => e.in_one_line(),
                // A newer program can read it.
                Ok(Some(record)) if record.version == 1 && record.key.hex() != name => {
                    "it is the record of another step".to_owned()
                }
                Ok(_) => continue,
            };
            all.push((name, what));
        }
        Ok(all)
    }

    /// Removes what [`BuildCache::damaged_steps`] found.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn discard_damaged(&self, name: &str) -> Result<()> {
        match self.part(STEPS)? {
            Some(steps) => trash::discard(&self.roots.data, &steps, name).map(drop),
            None => Ok(()),
        }
    }
}
