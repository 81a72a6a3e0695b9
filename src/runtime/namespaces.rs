//! Whose the namespaces of a container are.

use nix::libc;
use serde::{Deserialize, Serialize};

/// Where memory is shared.
pub const SHM: &str = "/dev/shm";

/// Whose a namespace of the container is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceOwner {
    /// Its own.
    #[default]
    Own,
    /// Another container's, whose user namespace it shares: what belongs to it can be mounted.
    Joined,
    /// Of the shared user namespace: it can be used, and nothing else.
    Foreign,
    /// The host's.
    Host,
}

/// Whose each of the container's namespaces is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceOwners {
    /// Process ids.
    pub pid: NamespaceOwner,
    /// System V IPC and message queues.
    pub ipc: NamespaceOwner,
    /// Host name.
    pub uts: NamespaceOwner,
    /// Cgroup root.
    pub cgroup: NamespaceOwner,
    /// Network.
    pub net: NamespaceOwner,
    /// Users.
    pub user: NamespaceOwner,
}

impl NamespaceOwners {
    /// The namespaces that are made for the container, as flags of clone(2).
    pub fn own(&self) -> u64 {
        let every = [
            (self.pid, libc::CLONE_NEWPID),
            (self.ipc, libc::CLONE_NEWIPC),
            (self.uts, libc::CLONE_NEWUTS),
            (self.cgroup, libc::CLONE_NEWCGROUP),
            (self.net, libc::CLONE_NEWNET),
            (self.user, libc::CLONE_NEWUSER),
        ];
        let own = every.iter().filter(|(whose, _)| *whose == NamespaceOwner::Own);
        own.fold(libc::CLONE_NEWNS, |flags, (_, flag)| flags | flag) as u64
    }
}
