//! Progress events of a fetch.

use crate::image::{Digest, Reference};
use serde::{Deserialize, Serialize};

/// Progress events of a fetch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
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
