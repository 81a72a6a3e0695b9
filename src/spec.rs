//! What is stored about a container: plain, owned, serializable types without behaviour.
//!
//! [`ContainerSpec`] is written once as `plan.json` and never changes; all code that runs, shows or removes a
//! container reads it. It contains no descriptors, locks or lifetimes. `plan` creates it from a request,
//! `storage` stores it.

use crate::container::ids::IdMaps;
use crate::container::{ContainerId, Name, RestartPolicy};
use crate::image::{ChainId, Digest, Image};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub mod bridge;
pub mod devices;
pub mod health;
pub mod limits;
pub mod log;
pub mod mac;
pub mod mounts;
pub mod namespaces;
pub mod network;
pub mod notify;
pub mod pasta;
pub mod pod;
pub mod pod_part;
pub mod process;
pub mod root;
pub mod secrets;
pub mod security;

pub use bridge::{Attached, Attachment, UserNetwork};
pub use devices::DeviceSpec;
pub use health::HealthCheck;
pub use limits::{DeviceLimit, LimitSpec, Resources, Ulimit};
pub use log::{IoSpec, LogDriver, LogSpec};
pub use mounts::{MountSource, MountSpec, OverlaySpec};
pub use namespaces::{NamespaceSpec, Share};
pub use network::{NetworkMode, NetworkSpec};
pub use notify::NotifyMode;
pub use pod::{ExitPolicy, PodNamespace, PodSpec};
pub use pod_part::{PodId, PodPart};
pub use process::{ProcessSpec, UserSpec};
pub use root::RootSpec;
pub use secrets::{SecretSpec, SecretWay};
pub use security::{SeccompSpec, SecuritySpec};

pub use crate::container::PLAN_VERSION;

/// Everything needed to run one container, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The form's version, [`PLAN_VERSION`].
    pub version: u32,
    /// The container's identifier.
    pub id: ContainerId,
    /// The name it was created with; `settings.json` has the current one.
    pub name: Name,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// The image it is of; `None` with `--rootfs`.
    pub image: Option<ImageSource>,
    /// Where its root file system comes from.
    pub root: RootSpec,
    /// Its first process.
    pub process: ProcessSpec,
    /// Host name inside.
    pub hostname: String,
    /// NIS domain name inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Which namespaces are its own.
    pub namespaces: NamespaceSpec,
    /// Which of the shared namespace's ids its own are.
    #[serde(default)]
    pub ids: IdMaps,
    /// Its network.
    pub network: NetworkSpec,
    /// Mounts in the order they are made, after the standard ones (proc, sys, dev, shm).
    pub mounts: Vec<MountSpec>,
    /// The secrets it is given; names only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretSpec>,
    /// Which of the generated files are written.
    #[serde(default)]
    pub files: FilesSpec,
    /// Directories inside that get the generated files of `/etc` too (`--chrootdirs`).
    #[serde(default)]
    pub chroot_dirs: Vec<PathBuf>,
    /// Devices of the host, beside those that every container has.
    #[serde(default)]
    pub devices: Vec<DeviceSpec>,
    /// What it may do.
    pub security: SecuritySpec,
    /// Limits.
    pub limits: LimitSpec,
    /// Its terminal, standard input and log.
    pub io: IoSpec,
    /// How it is stopped and cleaned up.
    pub lifecycle: LifecycleSpec,
    /// How its health is checked.
    #[serde(default)]
    pub health: Option<HealthCheck>,
    /// Who notifies the service manager that it is ready.
    #[serde(default)]
    pub notify: NotifyMode,
    /// The pod it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodPart>,
    /// User labels merged over the image's.
    pub labels: BTreeMap<String, String>,
    /// `--annotation`: data for `inspect`, never obeyed (attack case 15).
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// What was asked, kept for `inspect`.
    pub asked: Asked,
}

impl ContainerSpec {
    /// The volumes that were made for this container and go with it.
    pub fn anonymous_volumes(&self) -> impl Iterator<Item = &Name> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume { name, anonymous: true, .. } => Some(name),
            _ => None,
        })
    }

    /// The command in listings: without the entry point, as in podman.
    pub fn listed_command(&self) -> String {
        if self.asked.command.is_empty() { &self.process.argv } else { &self.asked.command }.join(" ")
    }

    /// Whether it holds the namespaces of a pod.
    pub fn is_infra(&self) -> bool {
        self.pod.as_ref().is_some_and(|pod| pod.infra)
    }

    /// The images that are mounted into it: their ids and their layers.
    pub fn mounted_images(&self) -> impl Iterator<Item = (&Digest, &[ChainId])> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Image { id, layers, .. } => Some((id, layers.as_slice())),
            _ => None,
        })
    }

    /// Whether it was created from this image, or mounts it.
    pub fn uses_image(&self, image: &Digest) -> bool {
        self.image.as_ref().is_some_and(|source| source.id == *image)
            || self.mounted_images().any(|(id, _)| id == image)
    }

    /// The containers that it cannot do without: whose namespaces it shares, and those that it requires. One may
    /// come several times.
    pub fn needed_containers(&self) -> impl Iterator<Item = ContainerId> {
        let ns = &self.namespaces;
        let shared =
            [&ns.pid, &ns.ipc, &ns.uts, &ns.cgroup, &ns.user].into_iter().filter_map(|share| match share {
                Share::Container(id) => Some(id),
                _ => None,
            });
        let network = match &self.network.mode {
            NetworkMode::Container(id) => Some(id),
            _ => None,
        };
        let named = shared.chain(network).filter_map(|id| id.parse().ok());
        named.chain(self.lifecycle.requires.iter().cloned())
    }
}

/// The image a container was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageSource {
    /// The canonical reference at creation.
    pub reference: String,
    /// Image id: digest of the configuration.
    pub id: Digest,
    /// Manifest digest.
    pub manifest: Digest,
}

impl ImageSource {
    /// What a plan keeps of an image.
    pub fn of(image: &Image) -> ImageSource {
        ImageSource {
            reference: image.reference.as_ref().map_or_else(|| image.id.to_string(), |r| r.canonical()),
            id: image.id.clone(),
            manifest: image.manifest.clone(),
        }
    }
}

/// Which of the generated files are written; the image's own stay where one is `false`. For
/// `/etc/resolv.conf` see [`crate::netns::DnsSpec::keep_image`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesSpec {
    /// `/etc/hosts`; `--no-hosts` leaves it alone.
    pub hosts: bool,
    /// `/etc/hostname`; `--no-hostname` leaves it alone.
    pub hostname: bool,
    /// The mark of a container is docker's, `/.dockerenv`, instead of podman's, `/run/.containerenv`.
    #[serde(default)]
    pub as_docker: bool,
}

impl Default for FilesSpec {
    fn default() -> Self {
        FilesSpec { hosts: true, hostname: true, as_docker: false }
    }
}

/// How a container is stopped and cleaned up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LifecycleSpec {
    /// Remove the container when it exits (`--rm`).
    pub auto_remove: bool,
    /// Then remove its image too, unless that has another name or another container uses it (`--rmi`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove_image: bool,
    /// Signal number that `stop` sends, 1 to 64.
    pub stop_signal: i32,
    /// Seconds that `stop` waits before it kills.
    pub stop_timeout: u32,
    /// Seconds after which the container is killed (`--timeout`); `None` is never.
    pub timeout: Option<u32>,
    /// File with the container's id, which goes with the container, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_file: Option<PathBuf>,
    /// File that gets the payload's pid as the host sees it (`--pidfile`), absolute.
    pub pidfile: Option<PathBuf>,
    /// File that gets the monitor's pid (`--conmon-pidfile`), absolute.
    #[serde(default)]
    pub monitor_pidfile: Option<PathBuf>,
    /// Whether it is started again when it has ended; `settings.json` may have another by now.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Containers that are started before it (`--requires`).
    #[serde(default)]
    pub requires: Vec<ContainerId>,
    /// The container whose place and name it was made to take (`auto-update`). As long as that one exists, the change is
    /// not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ContainerId>,
}

/// What was asked for, kept word for word for `inspect`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The command line that created the container.
    pub create_command: Vec<String>,
    /// Entrypoint in force.
    pub entrypoint: Vec<String>,
    /// Command in force.
    pub command: Vec<String>,
    /// `port/proto` of the image and `--expose`.
    pub exposed_ports: Vec<String>,
    /// `--cap-add` as given.
    pub cap_add: Vec<String>,
    /// `--cap-drop` as given.
    pub cap_drop: Vec<String>,
    /// `--security-opt` as given.
    pub security_opt: Vec<String>,
    /// `--volume` and `--mount` as given.
    pub binds: Vec<String>,
    /// `-P`.
    pub publish_all: bool,
    /// `--cidfile`, absolute.
    #[serde(default)]
    pub cidfile: Option<PathBuf>,
    /// Labels that its creator gave it. Only these may ask for anything: the image's are data (attack case 15).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
