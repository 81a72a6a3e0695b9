//! Progress events of transfers.

use crate::image::{Digest, Reference};
use serde::{Deserialize, Serialize};

/// Progress events of a fetch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// What a short name was taken for, and why.
    Resolved(String),
    /// This full name is tried.
    Trying(Reference),
    /// Something the user should know and need not act upon.
    Warning(String),
    /// A pause before another try.
    Waiting {
        /// The failure that made it necessary.
        why: String,
        /// Its length.
        seconds: u64,
    },
    /// The manifest is known: the layers' digests and sizes in bytes, bottom first.
    Layers(Vec<(Digest, u64)>),
    /// A layer needs no transfer.
    Present(usize),
    /// A layer's bytes so far.
    Progress(usize, u64),
    /// All bytes of a layer are here and verified.
    Downloaded(usize),
}

/// Progress events of a push; blobs are numbered as they were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PushEvent {
    /// A warning or a pause.
    Session(Event),
    /// The registry has a blob already: its digest and size in bytes.
    Present(usize, Digest, u64),
    /// A blob was mounted from this repository.
    Mounted(usize, String),
    /// A blob's bytes so far.
    Progress(usize, u64),
    /// A blob was sent: its digest and size in bytes.
    Sent(usize, Digest, u64),
}
