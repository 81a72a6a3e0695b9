//! The health of a container: the record that checks write, `health.json`.

use super::{ContainerDir, files};
use crate::error::{Context, Kind, Result};
use crate::spec::health::Health;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// When it began.
    pub start: DateTime<Utc>,
    /// When it ended.
    pub end: DateTime<Utc>,
    /// The command's exit code; -1 when it was killed because its time was over.
    pub code: i32,
    /// What it wrote, cut to the length that was asked for.
    pub output: String,
}

/// The content of `health.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthRecord {
    /// Which run this is about.
    pub run: u64,
    /// What is known.
    pub status: Health,
    /// Failures in a row.
    pub streak: u32,
    /// Successful start-up checks so far.
    pub startup_successes: u32,
    /// Start-up checks are over.
    pub started: bool,
    /// The last checks, the oldest first.
    pub log: Vec<Checked>,
}

impl ContainerDir {
    /// What checks found; `None` before the first run with a health check.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn health(&self) -> Result<Option<HealthRecord>> {
        files::read_json(self.fd(), "health.json")
            .context(Kind::Storage, || format!("read health.json of container {}", self.id().short()))
    }
}
