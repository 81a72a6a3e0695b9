//! Progress messages of a pull.

use crate::image::{Digest, Reference};
use crate::registry;
use crate::storage::archive;
use serde::{Deserialize, Serialize};

/// How far a pull is.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// From the transfer.
    Event(registry::Event),
    /// A layer is unpacked.
    Unpacked(usize),
    /// The image is in the store.
    Recorded {
        /// Its full name.
        name: Reference,
        /// The digest that the registry has under that name: of the index, if there is one.
        digest: Digest,
        /// Its id: the digest of its configuration.
        config: Digest,
        /// Whether the name meant another image before, or none.
        newer: bool,
    },
    /// From a file or a directory.
    Loading(archive::Progress),
}
