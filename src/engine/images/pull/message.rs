//! Progress messages of a pull.

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
    /// From a file or a directory.
    Loading(archive::Progress),
}
