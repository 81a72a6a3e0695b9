//! What a member and its network's keeper say to each other.

use super::members::{Refusal, Wish};
use crate::fork::Failure;
use crate::spec::bridge::Attached;
use serde::{Deserialize, Serialize};

/// What a member says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// It wants to be one.
    Join(Wish),
}

/// What the keeper says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// It is one. The network's namespace comes along.
    Joined(Place),
    /// It is none.
    Refused(Refusal),
    /// The network reaches the outside, or has nothing to do with it.
    Up,
    /// It does not.
    Down(Failure),
}

/// A member's place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    /// What the container has.
    pub(super) attached: Attached,
    /// The name of its port in the network's namespace, which nothing there has had before.
    pub(super) port: String,
    /// The bridge's number there.
    pub(super) bridge: u32,
}
