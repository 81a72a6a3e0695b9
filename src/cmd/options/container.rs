//! The options of `run`, grouped as in its help. All but [`RunArgs`] are also options of `create`.

use crate::cmd::options::devices::DeviceArgs;
use crate::cmd::options::health::HealthArgs;
use crate::cmd::options::pods::PodArgs;
use crate::cmd::options::refused::RefusedArgs;
use crate::cmd::options::source::{PullPolicy, SourceOptions};
use crate::cmd::options::spaces::SpaceArgs;
use crate::cmd::options::switch::switchable;
use crate::container::{ContainerName, RestartPolicy, Signal};
use crate::netns;
use crate::plan::caps::CapArg;
use crate::plan::env::EnvArg;
use crate::plan::ids::Userns;
use crate::plan::keys::DetachKeys;
use crate::plan::limits::{SysctlArg, UlimitArg};
use crate::plan::logging::{Driver, LogOpt};
use crate::plan::mount::inherit::{ImageVolumes, VolumesFrom};
use crate::plan::mount::{MountOption, TmpfsArg, VolumeArg};
use crate::plan::option_values::{Cgroups, Ipc, Mode, Pair, Stream};
use crate::plan::process::{Entrypoint, GroupArg, Hostname, Umask, UserArg, Zone};
use crate::plan::secret::SecretArg;
use crate::plan::security::SecurityOpt;
use crate::plan::units::Size;
use crate::spec::network::{HostEntry, MacAddress, PortPublish};
use crate::spec::{NetworkMode, NotifyMode};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// The ports of one `--publish`.
pub type Ports = Vec<PortPublish>;

/// The entries of one `--add-host`.
pub type Hosts = Vec<HostEntry>;

/// Options of `run` alone.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Terminal and output", mut_args = switchable)]
pub struct RunArgs {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    pub detach: bool,
    /// Attach to stdin, stdout or stderr only; may be repeated
    #[arg(short, long, value_name = "STREAM", value_delimiter = ',')]
    pub attach: Vec<Stream>,
    /// Keys that detach from the container; empty for none
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub detach_keys: DetachKeys,
    /// Remove the image when the container exits, unless another one uses it; implies --rm
    #[arg(long, conflicts_with = "rootfs")]
    pub rmi: bool,
    /// Forward signals to the container
    #[arg(long, default_value = "true")]
    pub sig_proxy: bool,
    /// Pass this many file descriptors, starting with 3, to the container
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
}

/// Options that describe a container, for every verb that makes one.
#[derive(Debug, clap::Args)]
pub struct CreationArgs {
    /// What it is called.
    #[command(flatten)]
    pub identity: IdentityArgs,
    /// The pod it is in.
    #[command(flatten)]
    pub pod: PodArgs,
    /// What it is made from.
    #[command(flatten)]
    pub image: ImageArgs,
    /// Its first process.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// Its environment.
    #[command(flatten)]
    pub env: EnvArgs,
    /// Its terminal, input and log.
    #[command(flatten)]
    pub terminal: TerminalArgs,
    /// What is mounted into it.
    #[command(flatten)]
    pub mounts: MountArgs,
    /// Its network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// What it may do.
    #[command(flatten)]
    pub security: SecurityArgs,
    /// Its limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// How its health is checked.
    #[command(flatten)]
    pub health: HealthArgs,
    /// How it ends.
    #[command(flatten)]
    pub lifecycle: LifecycleArgs,
    /// Its devices.
    #[command(flatten)]
    pub devices: DeviceArgs,
    /// What surrounds its process.
    #[command(flatten)]
    pub spaces: SpaceArgs,
    /// What it cannot have.
    #[command(flatten)]
    pub refused: RefusedArgs,
}

/// What it is called.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Identity", mut_args = switchable)]
pub struct IdentityArgs {
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    pub name: Option<ContainerName>,
    /// Replace an existing container with this name
    #[arg(long, requires = "name")]
    pub replace: bool,
    /// Label; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub label: Vec<Pair>,
    /// Read labels from a file, one per line
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub label_file: Vec<PathBuf>,
    /// Annotation, shown by inspect
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<Pair>,
    /// Write the container's id to a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
    /// Write the PID of the container's main process to a file
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,
}

/// What it is made from.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Image", mut_args = switchable)]
pub struct ImageArgs {
    /// The first argument is a directory instead of an image: DIR, or DIR:O to leave it untouched
    #[arg(long)]
    pub rootfs: bool,
    /// When to pull the image
    #[arg(long, value_name = "POLICY", default_value = "missing")]
    pub pull: PullPolicy,
    /// Which image, from where.
    #[command(flatten)]
    pub source: SourceOptions,
    /// Do not show progress while pulling
    #[arg(short, long)]
    pub quiet: bool,
}

/// Its first process.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Process", mut_args = switchable)]
pub struct ProcessArgs {
    /// Program to run instead of the image's entrypoint; a JSON array for one with arguments
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<Entrypoint>,
    /// Working directory in the container; it must exist, unless it is the image's own or lies in a tmpfs
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<UserArg>,
    /// Supplementary group; keep-groups keeps the caller's
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    pub group_add: Vec<GroupArg>,
    /// Add an entry to /etc/passwd for a user that has none
    #[arg(long, default_value = "true")]
    pub passwd: bool,
    /// File mode mask, octal
    #[arg(long, value_name = "MASK")]
    pub umask: Option<Umask>,
    /// Run a small init that forwards signals and reaps processes
    #[arg(long)]
    pub init: bool,
    /// Host name of the container
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<Hostname>,
    /// NIS domain name of the container
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<Hostname>,
    /// Time zone, such as Europe/Berlin, or local
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<Zone>,
    /// PID namespace: private (the default outside of pods), host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    pub pid: Option<Mode>,
    /// IPC namespace: shareable (other containers may join it; the default, except as docker), private, none (without
    /// /dev/shm), host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE", default_value = "", hide_default_value = true)]
    pub ipc: Ipc,
    /// UTS namespace: private (the default outside of pods), host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    pub uts: Option<Mode>,
    /// Cgroup namespace: private (the default outside of pods), host, container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<Mode>,
    /// User namespace: host, keep-id (keep your own ids inside), keep-id:uid=UID,gid=GID,size=N (have those ids inside),
    /// nomap (do not map your own ids), container:NAME or ns:PATH
    #[arg(long, value_name = "MODE")]
    pub userns: Option<Userns>,
}

/// Its environment.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Environment", mut_args = switchable)]
pub struct EnvArgs {
    /// Set a variable; NAME alone passes the caller's value, PREFIX* all variables that begin with PREFIX
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<EnvArg>,
    /// Read variables from a file, one per line
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub env_file: Vec<PathBuf>,
    /// Pass the caller's whole environment
    #[arg(long)]
    pub env_host: bool,
    /// Unset a variable of the image or a default one
    #[arg(long, value_name = "NAME")]
    pub unsetenv: Vec<String>,
    /// Unset all variables of the image and all default ones
    #[arg(long)]
    pub unsetenv_all: bool,
    /// Pass the caller's proxy variables
    #[arg(long, default_value = "true")]
    pub http_proxy: bool,
}

/// Its terminal, input and log.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Terminal and output", mut_args = switchable)]
pub struct TerminalArgs {
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Allocate a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Log driver: k8s-file, json-file (also local), journald, none, passthrough or passthrough-tty
    #[arg(long, value_name = "DRIVER", default_value = "k8s-file")]
    pub log_driver: Driver,
    /// Option of the log: max-size=SIZE and max-file=NUMBER rotate it, path=FILE, tag=TEMPLATE
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub log_opt: Vec<LogOpt>,
}

/// What is mounted into it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Mounts", mut_args = switchable)]
pub struct MountArgs {
    /// Mount a host path or a volume
    #[arg(short, long, value_name = "[SOURCE:]DEST[:OPTIONS]")]
    pub volume: Vec<VolumeArg>,
    /// Mount described by keys: type=bind|volume|tmpfs|ramfs|image|glob|devpts,source=...,destination=...
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub mount: Vec<MountOption>,
    /// Mount a tmpfs
    #[arg(long, value_name = "DEST[:OPTIONS]")]
    pub tmpfs: Vec<TmpfsArg>,
    /// Mount the volumes of another container; ro makes them read-only
    #[arg(long, value_name = "CONTAINER[:OPTIONS]")]
    pub volumes_from: Vec<VolumesFrom>,
    /// Volumes of the image: bind (anonymous volumes), tmpfs, or ignore
    #[arg(long, value_name = "MODE", default_value = "bind")]
    pub image_volume: ImageVolumes,
    /// Give the container a secret, as a file in /run/secrets or as a variable
    #[arg(long, value_name = "SECRET[,KEY=VALUE...]")]
    pub secret: Vec<SecretArg>,
    /// Make the root file system read-only
    #[arg(long)]
    pub read_only: bool,
    /// With --read-only, keep /run, /tmp and /var/tmp writable in memory
    #[arg(long, default_value = "true")]
    pub read_only_tmpfs: bool,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<Size>,
}

/// Its network.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network", mut_args = switchable)]
pub struct NetworkArgs {
    /// Network: private (the default), slirp4netns[:OPTIONS], pasta[:OPTIONS], none, host, container:NAME, ns:PATH, bridge or the name
    /// of a network, with options ip, ip6, mac, alias, interface_name and accelerate (NAME:ip=IP,alias=NAME), which may be repeated
    #[arg(long, visible_alias = "net", value_name = "MODE", value_parser = netns::parse_network)]
    pub network: Vec<NetworkMode>,
    /// Where it is on its network.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Publish a port or a range of ports
    #[arg(short, long, value_name = "[[IP:][PORT]:]PORT[/PROTO]", value_delimiter = ',', value_parser = netns::parse_publish)]
    pub publish: Vec<Ports>,
    /// Publish every exposed port on a free port of the host
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Declare a port or a range of ports
    #[arg(long, value_name = "PORT[/PROTO]", value_delimiter = ',')]
    pub expose: Vec<String>,
    /// How names are looked up.
    #[command(flatten)]
    pub names: NameArgs,
}

/// Where it is on its network.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Network", mut_args = switchable)]
pub struct PlaceArgs {
    /// Address on its network
    #[arg(long, value_name = "IP")]
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address on its network
    #[arg(long, value_name = "IP")]
    pub ip6: Option<Ipv6Addr>,
    /// Hardware address of the container's interface
    #[arg(long, value_name = "MAC")]
    pub mac_address: Option<MacAddress>,
    /// Further name under which others on its networks find it
    #[arg(long, alias = "net-alias", value_name = "NAME", value_delimiter = ',')]
    pub network_alias: Vec<String>,
}

/// How names are looked up in it.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Network", mut_args = switchable)]
pub struct NameArgs {
    /// DNS server; none keeps the image's resolv.conf
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub dns: Vec<String>,
    /// DNS search domain
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    pub dns_search: Vec<String>,
    /// DNS option
    #[arg(long, alias = "dns-opt", value_name = "OPTION", value_delimiter = ',')]
    pub dns_option: Vec<String>,
    /// Entry for /etc/hosts, NAME:IP or NAME;NAME:IP; host-gateway is the host
    #[arg(long, value_name = "NAME:IP", value_delimiter = ',', value_parser = netns::parse_add_host)]
    pub add_host: Vec<Hosts>,
    /// Do not change the image's /etc/hosts
    #[arg(long)]
    pub no_hosts: bool,
    /// Do not change the image's /etc/hostname
    #[arg(long)]
    pub no_hostname: bool,
}

/// What it may do.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Security", mut_args = switchable)]
pub struct SecurityArgs {
    /// What confines it.
    #[command(flatten)]
    pub confinement: ConfinementArgs,
    /// Lift the restrictions, as far as your account's own privileges go
    #[arg(long)]
    pub privileged: bool,
}

/// What confines it.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Security", mut_args = switchable)]
pub struct ConfinementArgs {
    /// Add a capability, or all
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub cap_add: Vec<CapArg>,
    /// Drop a capability, or all
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub cap_drop: Vec<CapArg>,
    /// seccomp=FILE|unconfined, no-new-privileges, mask=PATHS, unmask=PATHS|ALL or proc-opts=hidepid=2
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<SecurityOpt>,
}

/// Its limits.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits", mut_args = switchable)]
pub struct LimitArgs {
    /// Ulimit, or host for the caller's limits
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_delimiter = ',')]
    pub ulimit: Vec<UlimitArg>,
    /// Kernel parameter of the container's own namespaces
    #[arg(long, value_name = "NAME=VALUE")]
    pub sysctl: Vec<SysctlArg>,
    /// What a cgroup keeps.
    #[command(flatten)]
    pub resources: crate::cmd::options::resources::ResourceArgs,
    /// Cgroups: enabled (its own cgroup if needed), disabled, no-conmon or split
    #[arg(long, value_name = "HOW", default_value = "enabled", hide_default_value = true)]
    pub cgroups: Cgroups,
    /// Parent cgroup: a path, relative to the caller's cgroup without a leading slash, or NAME.slice of your systemd
    #[arg(long, value_name = "PATH|SLICE")]
    pub cgroup_parent: Option<String>,
}

/// How it ends.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Lifecycle", mut_args = switchable)]
pub struct LifecycleArgs {
    /// Remove the container when it exits
    #[arg(long)]
    pub rm: bool,
    /// Who notifies systemd that the container is ready: container, conmon (the monitor, at once), healthy or ignore
    #[arg(long, value_name = "MODE", default_value = "container", hide_default_value = true)]
    pub sdnotify: NotifyMode,
    /// Signal that stop sends
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<Signal>,
    /// Seconds that stop waits before killing
    #[arg(long, value_name = "SECONDS")]
    pub stop_timeout: Option<u32>,
    /// Kill the container after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
    pub timeout: u32,
    /// Restart policy: no, on-failure[:N], always or unless-stopped
    #[arg(long, value_name = "POLICY", default_value = "no", hide_default_value = true)]
    pub restart: RestartPolicy,
    /// Start these containers before this one
    #[arg(long, value_name = "CONTAINER", value_delimiter = ',')]
    pub requires: Vec<String>,
}
