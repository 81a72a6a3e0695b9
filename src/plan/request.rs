//! A request from any verb: typed and validated field by field, but not yet combined.

use super::env::EnvRequest;
use super::health::HealthRequest;
use super::ids::IdsRequest;
use super::limits::{SysctlArg, UlimitArg};
use super::mount::MountArg;
use super::mount::inherit::{ImageVolumes, VolumesFrom};
use super::process::Entrypoint;
use super::security::SecurityRequest;
use super::systemd::Systemd;
use crate::container::{ContainerId, Name, RestartPolicy, Signal};
use crate::spec::network::{DnsSpec, HostEntry, HostsBase, MacAddress, PortPublish};
use crate::spec::{
    DeviceSpec, FilesSpec, LogSpec, MountSpec, NamespaceSpec, NetworkMode, NotifyMode, PodPart, Resources,
    SecretSpec,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A container as it was asked for; by default nothing was. [`super::resolve`] makes a plan of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// `--name`.
    pub name: Option<Name>,
    /// `--rootfs`; `None` is an image.
    pub rootfs: Option<RootfsRequest>,
    /// The payload.
    pub process: ProcessRequest,
    /// Host name inside.
    pub hostname: Option<String>,
    /// NIS domain name inside.
    pub domainname: Option<String>,
    /// The host name of the container whose UTS namespace is shared.
    pub shared_hostname: Option<String>,
    /// Namespaces to share with the host.
    pub namespaces: NamespaceSpec,
    /// Which ids it has.
    pub ids: IdsRequest,
    /// The network.
    pub network: NetworkRequest,
    /// Mounts.
    pub mounts: MountRequest,
    /// `--secret`.
    pub secrets: Vec<SecretSpec>,
    /// Devices of the host.
    pub devices: Vec<DeviceSpec>,
    /// `--chrootdirs`.
    pub chroot_dirs: Vec<PathBuf>,
    /// Which generated files are wanted.
    pub files: FilesSpec,
    /// Confinement.
    pub security: SecurityRequest,
    /// Limits.
    pub limits: LimitRequest,
    /// Allocate a terminal.
    pub tty: bool,
    /// Keep standard input open.
    pub stdin: bool,
    /// Where output is kept.
    pub log: LogSpec,
    /// How it ends.
    pub lifecycle: LifecycleRequest,
    /// The pod it is in, looked up.
    pub pod: Option<PodPart>,
    /// `--sdnotify`.
    pub notify: NotifyMode,
    /// How its health is checked.
    pub health: HealthRequest,
    /// Labels, those of label files first.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The command line, for `inspect`.
    pub create_command: Vec<String>,
}

/// `--rootfs DIR[:O]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootfsRequest {
    /// As written, absolute or relative to the caller's working directory.
    pub path: PathBuf,
    /// Leave the directory untouched.
    pub overlay: bool,
}

/// The payload as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessRequest {
    /// `--entrypoint`.
    pub entrypoint: Option<Entrypoint>,
    /// Command and arguments; empty is the image's.
    pub command: Vec<String>,
    /// Environment.
    pub env: EnvRequest,
    /// `--workdir`.
    pub cwd: Option<String>,
    /// `--user`, checked.
    pub user: Option<String>,
    /// `--group-add`, `keep-groups` among them.
    pub groups: Vec<String>,
    /// `--passwd`.
    pub passwd_entry: bool,
    /// `--umask`.
    pub umask: Option<u32>,
    /// `--init`.
    pub init: bool,
    /// Nothing is executed, as in the infra container of a pod; without an image, on an empty root.
    pub idle: bool,
    /// `--init-path`, absolute.
    pub init_path: Option<PathBuf>,
    /// `--systemd`.
    pub systemd: Systemd,
    /// `--shm-size-systemd` in bytes.
    pub systemd_size: Option<u64>,
    /// `--hostuser`, as entries of `/etc/passwd`.
    pub host_users: Vec<String>,
    /// `--passwd-entry`.
    pub passwd_line: Option<String>,
    /// `--group-entry`.
    pub group_line: Option<String>,
    /// `--oom-score-adj`.
    pub oom_score: Option<i32>,
    /// `--personality`.
    pub personality: Option<u32>,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
}

/// The network as asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NetworkRequest {
    /// `--network`.
    pub mode: NetworkMode,
    /// `--publish`, ranges expanded.
    pub ports: Vec<PortPublish>,
    /// `--publish-all`.
    pub publish_all: bool,
    /// `--expose`, as written.
    pub expose: Vec<String>,
    /// `--dns`, `--dns-search`, `--dns-option`.
    pub dns: DnsSpec,
    /// `--add-host`.
    pub hosts: Vec<HostEntry>,
    /// `--mac-address`.
    pub mac: Option<MacAddress>,
    /// `--hosts-file`.
    pub hosts_base: HostsBase,
}

/// Mounts as asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MountRequest {
    /// `--volume`, `--mount` and `--tmpfs`; patterns are expanded and images looked up before resolving.
    pub list: Vec<MountArg>,
    /// `--volumes-from`, as written.
    pub volumes_from: Vec<VolumesFrom>,
    /// The mounts of those containers, once they were looked up; the first at a place counts.
    pub inherited: Vec<MountSpec>,
    /// `--image-volume`.
    pub image_volumes: ImageVolumes,
    /// `--read-only-tmpfs`: with a read-only root, memory on `/run`, `/tmp` and `/var/tmp`.
    pub read_only_tmpfs: bool,
    /// `--shm-size` in bytes.
    pub shm_size: Option<u64>,
    /// The host's file with the time zone's rules, absolute (`--tz`).
    pub zone: Option<PathBuf>,
}

/// Limits as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitRequest {
    /// `--ulimit`.
    pub ulimits: Vec<UlimitArg>,
    /// `--sysctl`.
    pub sysctls: Vec<SysctlArg>,
    /// `--memory` and the like.
    pub resources: Resources,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
}

/// How the container ends, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LifecycleRequest {
    /// `--rm`.
    pub auto_remove: bool,
    /// `--rmi`: its image goes with it.
    pub remove_image: bool,
    /// `--stop-signal`.
    pub stop_signal: Option<Signal>,
    /// `--stop-timeout` in seconds.
    pub stop_timeout: Option<u32>,
    /// `--timeout` in seconds; 0 is never.
    pub timeout: u32,
    /// `--pidfile`, as written.
    pub pidfile: Option<PathBuf>,
    /// `--conmon-pidfile`, as written.
    pub monitor_pidfile: Option<PathBuf>,
    /// `--restart`.
    pub restart: RestartPolicy,
    /// `--requires`, looked up.
    pub requires: Vec<ContainerId>,
}
