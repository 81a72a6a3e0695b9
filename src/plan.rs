//! What a container is to be: a plain, owned, serializable description, and how a request becomes one.
//!
//! [`ContainerPlan`] is written once as `plan.json` and never changes; everything that runs a container
//! reads it and nothing else. It holds no descriptors, locks or lifetimes. Resolving is pure: the same
//! request, image and host facts give the same plan.

use self::notify::NotifyMode;
use crate::container::health::HealthCheck;
use crate::container::ids::IdMaps;
use crate::container::{ContainerId, Name, RestartPolicy};
use crate::image::{Digest, Image};
use crate::netns::NetPlan;
use crate::storage::rootfs::RootPlan;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub mod caps;
pub mod cdi;
mod copy;
pub mod device;
pub mod env;
pub mod health;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod logging;
pub mod mount;
pub mod notify;
pub mod process;
pub mod request;
pub mod resolve;
pub mod resources;
pub mod secret;
pub mod security;
pub mod systemd;
pub mod units;
pub mod words;

pub use copy::copy;
pub use limits::{LimitPlan, Ulimit};
pub use logging::{LogDriver, LogPlan};
pub use mount::planned::{MountPlan, MountSource, OverlayPlan};
pub use request::Request;
pub use resolve::{Facts, check, resolve};
pub use security::{SeccompPlan, SecurityPlan};

pub use crate::container::PLAN_VERSION;

/// Everything needed to run one container, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerPlan {
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
    pub root: RootPlan,
    /// Its first process.
    pub process: ProcessPlan,
    /// Host name inside.
    pub hostname: String,
    /// Which namespaces are its own.
    pub namespaces: NamespacePlan,
    /// Which of the shared namespace's ids its own are.
    #[serde(default)]
    pub ids: IdMaps,
    /// Its network.
    pub network: NetPlan,
    /// Mounts in the order they are made, after the standard ones (proc, sys, dev, shm).
    pub mounts: Vec<MountPlan>,
    /// The secrets it is given; names only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<secret::SecretPlan>,
    /// Which of the generated files are written.
    #[serde(default)]
    pub files: FilesPlan,
    /// Directories inside that get the generated files of `/etc` too (`--chrootdirs`).
    #[serde(default)]
    pub chroot_dirs: Vec<PathBuf>,
    /// Devices of the host, beside those that every container has.
    #[serde(default)]
    pub devices: Vec<device::DevicePlan>,
    /// What it may do.
    pub security: SecurityPlan,
    /// Limits.
    pub limits: LimitPlan,
    /// Its terminal, standard input and log.
    pub io: IoPlan,
    /// How it is stopped and cleaned up.
    pub lifecycle: LifecyclePlan,
    /// How its health is checked.
    #[serde(default)]
    pub health: Option<HealthCheck>,
    /// Who tells the service manager that it is ready.
    #[serde(default)]
    pub notify: NotifyMode,
    /// User labels merged over the image's.
    pub labels: BTreeMap<String, String>,
    /// `--annotation`: data for `inspect`, never obeyed (attack case 15).
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// What was asked, kept for `inspect`.
    pub asked: Asked,
}

impl ContainerPlan {
    /// The volumes that were made for this container and go with it.
    pub fn anonymous_volumes(&self) -> impl Iterator<Item = &Name> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume { name, anonymous: true, .. } => Some(name),
            _ => None,
        })
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

/// The container's first process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// Program and arguments; never empty. The program is searched in the container's `PATH`.
    pub argv: Vec<String>,
    /// `NAME=value` entries, complete but for `HOME`, which init sets from the user when absent.
    pub env: Vec<String>,
    /// Working directory, absolute; made if missing.
    pub cwd: PathBuf,
    /// Whom it runs as; names are looked up inside the root file system.
    pub user: UserSpec,
    /// File mode creation mask.
    pub umask: u32,
    /// Whether descriptors 3 to 3+n of the caller are handed through (`--preserve-fds`).
    pub preserve_fds: u32,
    /// Run under our own small PID 1 that reaps and forwards (`--init`).
    pub init: bool,
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

/// Which namespaces are the container's own. The network is in [`NetPlan`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NamespacePlan {
    /// Process ids.
    pub pid: Share,
    /// System V IPC and POSIX message queues; `/dev/shm` follows it.
    pub ipc: Share,
    /// No `/dev/shm` at all, beside an IPC namespace of its own (`--ipc=none`).
    #[serde(default)]
    pub no_shm: bool,
    /// Host name.
    pub uts: Share,
    /// Cgroup root.
    pub cgroup: Share,
    /// Users; whoever shares another namespace of a container shares this one of it too.
    #[serde(default)]
    pub user: Share,
}

/// Which of the generated files are written; the image's own stay where one is `false`. For
/// `/etc/resolv.conf` see [`crate::netns::DnsPlan::keep_image`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesPlan {
    /// `/etc/hosts`; `--no-hosts` leaves it alone.
    pub hosts: bool,
    /// `/etc/hostname`; `--no-hostname` leaves it alone.
    pub hostname: bool,
}

impl Default for FilesPlan {
    fn default() -> Self {
        FilesPlan { hosts: true, hostname: true }
    }
}

/// Terminal, standard input and log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IoPlan {
    /// Allocate a terminal.
    pub tty: bool,
    /// Keep standard input open.
    pub stdin: bool,
    /// Where output is kept.
    pub log: LogPlan,
}

/// How a container is stopped and cleaned up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LifecyclePlan {
    /// Remove the container when it exits (`--rm`).
    pub auto_remove: bool,
    /// Signal number that `stop` sends, 1 to 64.
    pub stop_signal: i32,
    /// Seconds that `stop` waits before it kills.
    pub stop_timeout: u32,
    /// Seconds after which the container is killed (`--timeout`); `None` is never.
    pub timeout: Option<u32>,
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
}

#[cfg(test)]
mod tests;
