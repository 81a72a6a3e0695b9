//! The messages between the monitor and stage 2.

use crate::fork::{Failure, Link};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// What the monitor tells stage 2.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToInit {
    /// The id map is written, and the container is in a cgroup of its own or not.
    Go {
        /// It is.
        own_cgroup: bool,
        /// It may change what is below.
        managed: bool,
    },
    /// The run is recorded and its network is ready: the payload may start.
    Proceed {
        /// Somebody decides about its connections ([`crate::netns::swap`]).
        watched: bool,
    },
}

/// What stage 2 tells the monitor. End of file means that the payload runs.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromInit {
    /// It exists; its mount, network and user namespaces come with this message, in this order. Not to be
    /// had from `/proc` where it hides.
    Born,
    /// The terminal's master comes with this message.
    Terminal,
    /// The generated file that appears at this path comes with this message, to be changed while the container runs.
    File(String),
    /// The descriptor that the payload's connections are decided by comes with this message.
    Calls,
    /// It cannot continue.
    Failed(Failure),
}

/// Tells the monitor of a failure, if there is one still; returns the exit code.
pub(super) fn report(link: &Link, result: Result<Infallible, Failure>) -> i32 {
    let Err(mut failure) = result;
    failure.stage = "init".to_owned();
    // The monitor may be gone, and then nobody is left to tell.
    let _ = link.send(&FromInit::Failed(failure), &[]);
    125
}
