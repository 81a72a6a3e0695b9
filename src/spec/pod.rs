//! What is stored about a pod: a group of containers, which may share namespaces.

use super::limits::Resources;
use super::pod_part::PodId;
use super::{ContainerSpec, NetworkMode};
use crate::container::{ContainerId, Name, RestartPolicy};
use crate::error::{Error, Kind, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The version of a pod's record that this program writes, and the newest that it reads.
pub const POD_VERSION: u32 = 1;

/// A pod, as it was created. Which containers are in it is said by their plans, and how it stands follows from how
/// they do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodSpec {
    /// The form's version, [`POD_VERSION`].
    pub version: u32,
    /// Its identifier.
    pub id: PodId,
    /// Its name.
    pub name: Name,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// Host name of its containers where they share one, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The namespaces that its containers share, in this order; empty without an infra container.
    pub shared: Vec<PodNamespace>,
    /// What happens when the last of its containers has ended.
    pub exit_policy: ExitPolicy,
    /// The restart policy of its containers that ask for none of their own.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its containers are in its cgroup, where it has one.
    pub share_parent: bool,
    /// The cgroup below which its own is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
    /// What its containers may use together.
    #[serde(default)]
    pub resources: Resources,
    /// The container that holds its namespaces, complete: it is made of this again if it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infra: Option<Box<ContainerSpec>>,
    /// File with its id, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_file: Option<PathBuf>,
    /// The command line that created it.
    pub create_command: Vec<String>,
}

impl PodSpec {
    /// The id of its infra container.
    pub fn infra_id(&self) -> Option<&ContainerId> {
        self.infra.as_ref().map(|infra| &infra.id)
    }

    /// Whether its containers share this namespace.
    pub fn shares(&self, namespace: PodNamespace) -> bool {
        self.shared.contains(&namespace)
    }

    /// The networks that its infra container is on.
    pub fn networks(&self) -> Vec<&str> {
        match self.infra.as_ref().map(|infra| &infra.network.mode) {
            Some(NetworkMode::Bridge(all)) => all.iter().map(|one| one.network.as_str()).collect(),
            _ => Vec::new(),
        }
    }
}

/// A namespace that the containers of a pod can share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PodNamespace {
    /// What they see of the cgroups.
    Cgroup,
    /// System V IPC, message queues and `/dev/shm`.
    Ipc,
    /// The network.
    Net,
    /// Process ids.
    Pid,
    /// The host name.
    Uts,
}

impl PodNamespace {
    /// Those that are shared unless something else is asked for.
    pub const DEFAULT: [PodNamespace; 3] = [PodNamespace::Ipc, PodNamespace::Net, PodNamespace::Uts];

    /// Its word in `--share`.
    pub fn as_str(self) -> &'static str {
        match self {
            PodNamespace::Cgroup => "cgroup",
            PodNamespace::Ipc => "ipc",
            PodNamespace::Net => "net",
            PodNamespace::Pid => "pid",
            PodNamespace::Uts => "uts",
        }
    }
}

impl fmt::Display for PodNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens to a pod when the last of its containers has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitPolicy {
    /// Its infra container runs on.
    #[default]
    Continue,
    /// Its infra container is stopped.
    Stop,
}

impl ExitPolicy {
    /// Its word in `--exit-policy`.
    pub fn as_str(self) -> &'static str {
        match self {
            ExitPolicy::Continue => "continue",
            ExitPolicy::Stop => "stop",
        }
    }
}

impl FromStr for ExitPolicy {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "continue" => Ok(ExitPolicy::Continue),
            "stop" => Ok(ExitPolicy::Stop),
            _ => Err(Error::new(Kind::Usage, format!("invalid pod exit policy: {text:?}"))
                .hint("Use continue or stop.")),
        }
    }
}
