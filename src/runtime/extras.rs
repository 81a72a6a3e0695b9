//! What a container has that no record of it says: for the steps of a build, and for sockets that were
//! handed to the command.

use super::secrets::SecretFile;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Things that the plan does not have, because they are worth nothing after the run or must not be written down.
#[derive(Debug, Default)]
pub struct Extras {
    /// A directory of the store with `fs/` and `work/`: what the container changes goes there, and stays when the
    /// container is removed.
    pub changes: Option<PathBuf>,
    /// Files in memory.
    pub files: Vec<SecretFile>,
    /// Variables of the payload, as `NAME=value`.
    pub env: Vec<String>,
    /// Variables of the first run's payload alone: what they tell of is gone in the next.
    pub first_env: Vec<String>,
    /// A process, as a pidfd: the payload is killed at its end.
    pub lives_with: Option<OwnedFd>,
}
