//! What fetching tells while it works.

use serde::{Deserialize, Serialize};

/// How far a transfer has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being worked on: `downloading https://example.com/a.tgz`.
    pub what: String,
    /// Bytes so far, or objects of a repository.
    pub current: u64,
    /// How many there are in all, if that is known.
    pub total: Option<u64>,
}

impl Progress {
    /// Something that begins, of unknown length.
    pub(super) fn begins(what: impl Into<String>) -> Progress {
        Progress { what: what.into(), current: 0, total: None }
    }
}
