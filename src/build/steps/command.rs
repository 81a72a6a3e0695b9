//! What a container of a step is to run.

use super::mounts::Mounted;
use crate::spec::NetworkMode;

/// Where a script that a heredoc has is seen.
pub(super) const SCRIPTS: &str = "/dev/pipes";

/// A container to be run.
#[derive(Debug)]
pub(in crate::build) struct Work {
    /// The instruction, for messages.
    pub(super) shown: String,
    /// What is executed.
    pub(super) argv: Vec<String>,
    /// A heredoc that is executed itself: its name and content.
    pub(super) script: Option<(String, String)>,
    /// Its network; `None` is the default one.
    pub(super) network: Option<NetworkMode>,
    /// What is mounted in it.
    pub(super) mounts: Vec<Mounted>,
}
