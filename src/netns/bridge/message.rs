//! What a member and its network's keeper say to each other.

use super::members::{OtherNetwork, Refusal, Wish};
use crate::fork::Failure;
use crate::spec::bridge::Attached;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What a member says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// It wants to be one.
    Join(Wish),
    /// It is on these other networks by now.
    Others(Vec<OtherNetwork>),
    /// It is found by these names from now on, and by no others.
    Names(Vec<String>),
    /// The keeper of another network asks for a name, with a whole DNS message.
    Name(Vec<u8>),
    /// Other servers are to be asked for names, from now on; nobody becomes a member by that.
    Servers(Vec<IpAddr>),
}

/// What the keeper says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// It is one. The network's namespace comes along.
    Joined(Place),
    /// It is none.
    Refused(Refusal),
    /// The answer to a question for a name, where it is one of the network's own.
    Named(Option<Vec<u8>>),
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
