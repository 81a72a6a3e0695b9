//! What confines the payload.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the container may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecuritySpec {
    /// Capability names (`CAP_CHOWN`): the bounding set, and the permitted and effective sets of a root
    /// process.
    pub capabilities: Vec<String>,
    /// Those of them that a user other than root keeps too: what `--cap-add` named.
    #[serde(default)]
    pub ambient_capabilities: Vec<String>,
    /// All capabilities, no masks, no filter, writable sysfs.
    pub privileged: bool,
    /// Set `no_new_privs`.
    pub no_new_privileges: bool,
    /// The seccomp filter.
    pub seccomp: SeccompSpec,
    /// Paths hidden by an empty file or directory.
    pub masked_paths: Vec<PathBuf>,
    /// Paths remounted read-only.
    pub readonly_paths: Vec<PathBuf>,
    /// The root file system is read-only.
    pub readonly_root: bool,
    /// Options of the mount of `/proc`.
    #[serde(default)]
    pub proc_options: Vec<(String, String)>,
}

/// Which seccomp filter applies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeccompSpec {
    /// The built-in profile.
    #[default]
    Default,
    /// A JSON profile, its text read when the container was created.
    Profile(String),
    /// None.
    Unconfined,
}
