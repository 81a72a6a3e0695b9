//! The first process and its user.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The container's first process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Program and arguments; never empty. The program is searched in the container's `PATH`.
    pub argv: Vec<String>,
    /// `NAME=value` entries, complete except for `HOME`, which init sets from the user when absent.
    pub env: Vec<String>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// Whether a missing working directory is an error; otherwise the start of the container makes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cwd_must_exist: bool,
    /// Whom it runs as; names are looked up inside the root file system.
    pub user: UserSpec,
    /// File mode creation mask.
    pub umask: u32,
    /// Whether descriptors 3 to 3+n of the caller are handed through (`--preserve-fds`).
    pub preserve_fds: u32,
    /// Run under our own small PID 1 that reaps and forwards (`--init`).
    pub init: bool,
    /// There is no payload: our own small PID 1 waits for its end alone, as in the infra container of a pod.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idle: bool,
    /// `oom_score_adj` of proc_pid_oom_score_adj(5); the caller's when `None`.
    #[serde(default)]
    pub oom_score: Option<i32>,
    /// Execution domain (personality(2)).
    #[serde(default)]
    pub personality: Option<u32>,
}

/// `--user`, unresolved: names are only known inside the root file system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UserSpec {
    /// `user[:group]` by name or number; empty means 0:0.
    pub user: String,
    /// Supplementary groups by name or number (`--group-add`).
    pub groups: Vec<String>,
    /// Keep the caller's supplementary groups instead (`--group-add keep-groups`); excludes `groups`.
    #[serde(default)]
    pub keep_groups: bool,
    /// Whether a missing passwd entry for a numeric user is added (`--passwd`).
    pub passwd_entry: bool,
    /// The entry's text, with variables in it; the usual one when `None`.
    #[serde(default)]
    pub passwd_line: Option<String>,
    /// The text of the entry in `/etc/group`.
    #[serde(default)]
    pub group_line: Option<String>,
    /// Entries of `/etc/passwd` that are added in any case (`--hostuser`).
    #[serde(default)]
    pub host_users: Vec<String>,
    /// Entries of `/etc/group` that are added with them.
    #[serde(default)]
    pub host_groups: Vec<String>,
}
