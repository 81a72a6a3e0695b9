//! Progress messages of a pull.

use crate::registry;
use serde::{Deserialize, Serialize};

/// How far a pull is.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// From the transfer.
    Event(registry::Event),
    /// A layer is unpacked.
    Unpacked(usize),
}
