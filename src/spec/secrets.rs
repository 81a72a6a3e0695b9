//! Secrets: names only. No record contains a secret's value.

use crate::container::Name;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Permission bits of a secret that is a file, unless said otherwise: an entry point that gives up root still
/// reads it. Nobody else is in the container.
pub const MODE: u32 = 0o444;

/// A secret that a container is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSpec {
    /// The secret's name.
    pub name: Name,
    /// How the payload gets it.
    pub way: SecretWay,
}

/// How a payload gets a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretWay {
    /// As a file in memory.
    Mount {
        /// Absolute path inside.
        path: PathBuf,
        /// Owner by number inside; the payload's user when `None`.
        uid: Option<u32>,
        /// Group by number inside; the payload's group when `None`.
        gid: Option<u32>,
        /// Permission bits, [`MODE`] by default.
        mode: Option<u32>,
    },
    /// As a variable of this name.
    Env(String),
}
