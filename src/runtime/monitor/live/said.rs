//! What the child of a monitor that changes networks says.

use crate::fork::Failure;
use crate::netns::bridge::Passed;
use serde::{Deserialize, Serialize};

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Did {
    /// It has left this network.
    Left(String),
    /// It is about to make an interface of this name.
    Joining(String),
    /// It has joined one. The descriptors of the membership come along.
    Joined(Box<Passed>),
    /// What the container is called has changed: it is to be found by these names on this network.
    Renamed(String, Vec<String>),
    /// It could not do what was wanted with this network.
    Failed(String, Failure),
    /// It has written a file.
    Wrote(String, String),
    /// It has come to the end.
    Done,
}
