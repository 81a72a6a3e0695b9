//! What a pull tells of while it goes on.

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
