//! The instructions for stage 2.

use crate::runtime::namespaces::NamespaceOwners;
use crate::runtime::secrets::SecretFile;
use crate::spec::ContainerSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Everything stage 2 needs besides its descriptors; plain data, so that it survives the re-execution.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The container.
    pub plan: ContainerSpec,
    /// Where its root is assembled, on the host.
    pub merged: PathBuf,
    /// Where the detached mounts that come along are attached, absolute.
    pub borrowed: Vec<String>,
    /// Where volumes, images and overlays were prepared, by the mount's place in the plan.
    pub sources: BTreeMap<usize, PathBuf>,
    /// Secrets that become files.
    pub secrets: Vec<SecretFile>,
    /// Files generated for it.
    pub files: Vec<FileOrder>,
    /// Paths of those that may change while the container runs.
    pub changing: Vec<String>,
    /// The compiled seccomp filter: program and load flags.
    pub filter: Option<(Vec<u8>, u32)>,
    /// Execute ourselves again from a read-only view first.
    pub seal: bool,
    /// Whose its namespaces are.
    pub owners: NamespaceOwners,
    /// It is in a cgroup of its own; known when [`ToInit::Go`](super::ToInit::Go) has come.
    pub own_cgroup: bool,
    /// It may change the cgroups below its own; known then, too.
    pub managed: bool,
    /// Somebody decides about its connections; known when [`ToInit::Proceed`](super::ToInit::Proceed) has come.
    pub watched: bool,
}

impl Order {
    /// An order for one more process: there is nothing to mount.
    pub fn for_process(plan: ContainerSpec, filter: Option<(Vec<u8>, u32)>) -> Order {
        Order {
            plan,
            merged: PathBuf::new(),
            borrowed: Vec::new(),
            sources: BTreeMap::new(),
            secrets: Vec::new(),
            files: Vec::new(),
            changing: Vec::new(),
            filter,
            seal: false,
            owners: NamespaceOwners::default(),
            own_cgroup: false,
            managed: false,
            watched: false,
        }
    }
}

/// A generated file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileOrder {
    /// Where it appears inside, absolute.
    pub path: String,
    /// What is in it.
    pub content: String,
    /// Permission bits.
    pub mode: u32,
}

/// Descriptors for the payload's standard streams; ignored with a terminal.
#[derive(Debug)]
pub struct Stdio {
    /// Standard input, output and error.
    pub streams: [OwnedFd; 3],
    /// Detached mounts of another container's, in the order of [`Order::borrowed`].
    pub borrowed: Vec<OwnedFd>,
}

impl Stdio {
    /// Streams alone.
    pub fn new(streams: [OwnedFd; 3]) -> Stdio {
        Stdio { streams, borrowed: Vec::new() }
    }
}
