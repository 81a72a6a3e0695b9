//! What the build cache consists of.

use super::BuildCache;
use super::locks::try_lock;
use super::mounts::{LOCK, MOUNTS, MountRecord, RECORD};
use super::notes::{CONTEXTS, MEMO};
use super::steps::{StepKind, StepRecord};
use crate::error::Result;
use crate::image::ChainId;
use crate::storage::images::Images;
use crate::storage::place::Place;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};

/// Bytes by path below the data root, as [`data_root`](crate::storage::measure::data_root) gives them.
type Sizes = BTreeMap<String, u64>;

/// Something that builds have left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name: hex digits.
    pub id: String,
    /// The names of those that it stands on.
    pub parents: Vec<String>,
    /// What made it.
    pub kind: StepKind,
    /// Bytes on the disk.
    pub size: u64,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was used last, to the hour.
    pub used: DateTime<Utc>,
    /// Whether an image or a container has it, too: then removing it here frees nothing.
    pub shared: bool,
    /// Whether a running build needs it.
    pub in_use: bool,
    /// The instruction, or what else it is.
    pub description: String,
    pub(super) what: What,
}

impl Entry {
    /// Whether removing it would free what it takes.
    pub fn is_reclaimable(&self) -> bool {
        !self.in_use && !self.shared
    }

    /// Whether it can be changed: what is no layer can.
    pub fn is_mutable(&self) -> bool {
        !matches!(self.what, What::Step(_))
    }
}

/// What an entry stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The record of a step, with its layers, topmost first.
    Step(Vec<ChainId>),
    /// A directory of [`MOUNTS`].
    Mount,
    /// A file of this part.
    Note(&'static str),
}

impl BuildCache {
    /// Everything, that was used last first. `images` are those of the same store.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn usage(&self, images: &Images, sizes: &Sizes) -> Result<Vec<Entry>> {
        let mut all = self.step_entries(images, sizes)?;
        all.extend(self.mount_entries(sizes)?);
        for (part, kind, description) in [
            (CONTEXTS, StepKind::Local, "files of a build context that are known"),
            (MEMO, StepKind::Internal, "digest of files of a layer"),
        ] {
            all.extend(self.notes(part, kind, description)?);
        }
        all.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.id.cmp(&b.id)));
        Ok(all)
    }

    fn step_entries(&self, images: &Images, sizes: &Sizes) -> Result<Vec<Entry>> {
        let named = images.named_layers()?;
        let needed = self.needed()?.layers;
        let records = self.steps()?;
        let mut by_layer: BTreeMap<ChainId, Vec<String>> = BTreeMap::new();
        for record in &records {
            if let Some(chain) = &record.chain {
                by_layer.entry(chain.clone()).or_default().push(record.key.hex().to_owned());
            }
        }
        let mut counted = HashSet::new();
        let mut entry = |record: StepRecord| {
            let layers = self.stack_of(record.top());
            let own = record.chain.as_ref().filter(|chain| counted.insert((*chain).clone()));
            let size = own.and_then(|chain| sizes.get(&format!("layers/{}", chain.0.hex())));
            let size = size.copied().unwrap_or_default();
            let record_size = sizes.get(&format!("build/steps/{}", record.key.hex())).copied();
            Entry {
                id: record.key.hex().to_owned(),
                parents: record.parent.as_ref().and_then(|p| by_layer.get(p)).cloned().unwrap_or_default(),
                kind: record.kind,
                size: size + record_size.unwrap_or_default(),
                created: record.created,
                used: record.used,
                // If it is unknown who names it, somebody may.
                shared: own.is_some_and(|own| named.as_ref().is_none_or(|named| named.contains(own))),
                in_use: layers.first().is_some_and(|top| needed.contains(top)),
                description: record.description,
                what: What::Step(layers),
            }
        };
        Ok(records.into_iter().map(&mut entry).collect())
    }

    fn mount_entries(&self, sizes: &Sizes) -> Result<Vec<Entry>> {
        let Some(mounts) = self.part(MOUNTS)? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for name in mounts.names()? {
            let Some(home) = mounts.below(&name)? else { continue };
            let record: Option<MountRecord> = home.read(RECORD).ok().flatten();
            let (created, used) = match &record {
                Some(record) => (record.created, record.used),
                None => (written(&mounts, &name), written(&mounts, &name)),
            };
            let id = record.map_or_else(|| "?".to_owned(), |record| record.id);
            all.push(Entry {
                parents: Vec::new(),
                kind: StepKind::CacheMount,
                size: sizes.get(&format!("{PARTS}/{MOUNTS}/{name}")).copied().unwrap_or_default(),
                created,
                used,
                shared: false,
                // Of a store that is only read it is unknown.
                in_use: try_lock(&home, LOCK, true).map_or(true, |lock| lock.is_none()),
                description: format!("cache mount with the id {id}"),
                what: What::Mount,
                id: name,
            });
        }
        Ok(all)
    }

    fn notes(&self, part: &'static str, kind: StepKind, description: &str) -> Result<Vec<Entry>> {
        let Some(dir) = self.part(part)? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for name in dir.names()? {
            let Some(found) = dir.look(&name)? else { continue };
            let time = written(&dir, &name);
            all.push(Entry {
                id: name,
                parents: Vec::new(),
                kind,
                size: found.st_blocks.unsigned_abs() * 512,
                created: time,
                used: time,
                shared: false,
                in_use: false,
                description: description.to_owned(),
                what: What::Note(part),
            });
        }
        Ok(all)
    }
}

/// Where all of them are, below the data root.
const PARTS: &str = "build";

/// When something was written last.
fn written(dir: &Place, name: &str) -> DateTime<Utc> {
    let found = dir.look(name).ok().flatten();
    found.and_then(|found| DateTime::from_timestamp(found.st_mtime, 0)).unwrap_or_default()
}
