//! Which namespaces are a container's own.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Whether a namespace is the container's own, the host's or another container's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// That container's, by its id; in a request, as it was written.
    Container(String),
    /// The one at this path, as `/proc/PID/ns/net` is one.
    Ns(PathBuf),
}

/// As `inspect` shows it.
impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Share::Private => f.write_str("private"),
            Share::Host => f.write_str("host"),
            Share::Container(id) => write!(f, "container:{id}"),
            Share::Ns(path) => write!(f, "ns:{}", path.display()),
        }
    }
}

/// Which namespaces are the container's own. The network is in [`NetworkSpec`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NamespaceSpec {
    /// Process ids.
    pub pid: Share,
    /// System V IPC and POSIX message queues; `/dev/shm` follows it.
    pub ipc: Share,
    /// No `/dev/shm`, in an IPC namespace of its own (`--ipc=none`).
    #[serde(default)]
    pub no_shm: bool,
    /// Other containers may not join its IPC namespace (`--ipc=private`).
    #[serde(default)]
    pub private_ipc: bool,
    /// Host name.
    pub uts: Share,
    /// Cgroup root.
    pub cgroup: Share,
    /// The user namespace; sharing any other namespace of a container shares this one too.
    #[serde(default)]
    pub user: Share,
}

impl NamespaceSpec {
    /// The IPC namespace as `inspect` shows it.
    pub fn ipc_mode(&self) -> String {
        match &self.ipc {
            Share::Private if self.no_shm => "none".to_owned(),
            Share::Private if !self.private_ipc => "shareable".to_owned(),
            share => share.to_string(),
        }
    }

    /// Whether other containers may join its IPC namespace.
    pub fn offers_ipc(&self) -> bool {
        !self.no_shm && !self.private_ipc
    }
}
