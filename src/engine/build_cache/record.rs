//! What listings show of the build cache.

use crate::storage::build::{Entry, StepKind};
use chrono::{DateTime, Utc};

/// One thing that builds keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Names it; letters and digits.
    pub id: String,
    /// What it is.
    pub kind: StepKind,
    /// What made it: the instruction, or what else it is.
    pub description: String,
    /// The records that it was made from, by id.
    pub parents: Vec<String>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When a build last used it, to the hour.
    pub last_used: DateTime<Utc>,
    /// Its size on the disk, in bytes.
    pub size: u64,
    /// Whether a running build needs it.
    pub in_use: bool,
    /// Whether an image or a container has its files, too, so that removing it frees nothing.
    pub shared: bool,
    /// Whether builds change it: a cache mount.
    pub mutable: bool,
}

impl From<&Entry> for Record {
    fn from(entry: &Entry) -> Record {
        Record {
            id: entry.id.clone(),
            kind: entry.kind,
            description: entry.description.clone(),
            parents: entry.parents.clone(),
            created: entry.created,
            last_used: entry.used,
            size: entry.size,
            in_use: entry.in_use,
            shared: entry.shared,
            mutable: entry.is_mutable(),
        }
    }
}
