//! Turns options into a request. Files that they name are read here, so that the rest stays pure.

use crate::cmd::options::container::{
    ConfinementArgs, CreationArgs, EnvArgs, IdentityArgs, LifecycleArgs, LimitArgs, MountArgs, NameArgs,
    NetworkArgs, PlaceArgs, ProcessArgs, SecurityArgs, TerminalArgs,
};
use crate::cmd::options::{devices, files, spaces};
use crate::error::{Context, Error, Kind, Result};
use crate::host::Caller;
use crate::netns::{self, AddressOptions};
use crate::plan::env::EnvRequest;
use crate::plan::mount::MountArg;
use crate::plan::option_values::{Cgroups, Mode};
use crate::plan::request::{
    LifecycleRequest, LimitRequest, MountRequest, NetworkRequest, ProcessRequest, Request, RootfsRequest,
};
use crate::plan::security::{SecurityOpt, SecurityRequest};
use crate::spec::network::DnsSpec;
use crate::spec::{FilesSpec, NamespaceSpec, SeccompSpec, Share};
use crate::ui;
use std::path::{Path, PathBuf};

/// Where the host keeps its time zones.
const ZONES: &str = "/usr/share/zoneinfo";

/// What the positional arguments name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An image, as written.
    Image(String),
    /// A directory (`--rootfs`).
    Rootfs(RootfsRequest),
}

impl CreationArgs {
    /// What the container is made from. Only the form is checked.
    ///
    /// # Errors
    /// When no directory is named.
    pub fn origin(&self, first: &str) -> Result<Origin> {
        if !self.image.rootfs {
            return Ok(Origin::Image(first.to_owned()));
        }
        let (path, overlay) = match first.rsplit_once(':') {
            Some((path, "O")) => (path, true),
            _ => (first, false),
        };
        if path.is_empty() {
            return Err(Error::new(Kind::Usage, "--rootfs: the directory is missing")
                .hint("Write --rootfs DIR[:O] COMMAND, for example coracle run --rootfs /:O sh."));
        }
        Ok(Origin::Rootfs(RootfsRequest { path: path.into(), overlay }))
    }

    /// Reads the files the options name and puts the request together.
    ///
    /// # Errors
    /// A file that cannot be read or is malformed, or a time zone that does not exist.
    pub fn into_request(
        self,
        origin: &Origin,
        command: Vec<String>,
        caller: &Caller,
        create_command: Vec<String>,
    ) -> Result<Request> {
        let readonly_root = self.mounts.read_only;
        let namespaces = NamespaceSpec {
            pid: share(self.process.pid.as_ref()),
            ipc: self.process.ipc.share.clone(),
            no_shm: self.process.ipc.no_shm,
            private_ipc: !self.process.ipc.offered.unwrap_or(!ui::docker()),
            uts: share(self.process.uts.as_ref()),
            cgroup: share(self.process.cgroupns.as_ref()),
            user: self.process.userns.as_ref().map(|mode| mode.share.clone()).unwrap_or_default(),
        };
        let ids = self.process.userns.as_ref().map(|mode| mode.ids.clone()).unwrap_or_default();
        let secrets = self.mounts.secret.iter().map(|s| s.0.clone()).collect();
        let hostname = self.process.hostname.as_ref().map(|h| h.0.clone());
        let domainname = self.process.domainname.as_ref().map(|name| name.0.clone());
        let files = FilesSpec {
            hosts: !self.network.names.no_hosts,
            hostname: !self.network.names.no_hostname,
            as_docker: ui::docker(),
        };
        let zone = self.process.tz.as_ref().map(|zone| zone_file(&zone.0)).transpose()?;
        let TerminalArgs { interactive, tty, log_driver, log_opt } = self.terminal;
        let IdentityArgs { name, label, label_file, annotation, pidfile, .. } = self.identity;
        let mut request = Request {
            name: name.map(|name| name.0),
            rootfs: match origin {
                Origin::Image(_) => None,
                Origin::Rootfs(rootfs) => Some(rootfs.clone()),
            },
            process: process(self.process, environment(self.env, caller)?, command),
            hostname,
            domainname,
            shared_hostname: None,
            namespaces,
            ids,
            devices: Vec::new(),
            chroot_dirs: Vec::new(),
            network: network(self.network, self.pod.is_given())?,
            mounts: mounts(self.mounts, zone),
            secrets,
            files,
            security: security(self.security, readonly_root, caller)?,
            limits: limits(self.limits)?,
            tty,
            stdin: interactive,
            log: crate::cmd::options::logging::plan(log_driver.0, log_opt, caller)?,
            lifecycle: lifecycle(&self.lifecycle, pidfile),
            pod: None,
            notify: self.lifecycle.sdnotify,
            health: self.health.request()?,
            labels: files::labels(&label_file, label, caller)?,
            annotations: annotation.into_iter().map(|p| (p.key, p.value)).collect(),
            create_command,
        };
        spaces::apply(self.spaces, &mut request, caller)?;
        devices::look_up(&self.devices, &mut request, caller)?;
        Ok(request)
    }
}

/// Whose a namespace is, by default the container's own.
pub(in crate::cmd) fn share(mode: Option<&Mode>) -> Share {
    mode.map(|mode| mode.0.clone()).unwrap_or_default()
}

fn environment(args: EnvArgs, caller: &Caller) -> Result<EnvRequest> {
    Ok(EnvRequest {
        set: args.env,
        files: files::environment(&args.env_file, caller)?,
        proxy: args.http_proxy,
        host: args.env_host,
        unset: args.unsetenv,
        unset_all: args.unsetenv_all,
        merge: Vec::new(),
    })
}

fn process(args: ProcessArgs, env: EnvRequest, command: Vec<String>) -> ProcessRequest {
    ProcessRequest {
        entrypoint: args.entrypoint,
        command,
        env,
        cwd: args.workdir,
        user: args.user.map(|u| u.0).filter(|u| !u.is_empty()),
        groups: args.group_add.into_iter().map(|g| g.0).collect(),
        passwd_entry: args.passwd,
        umask: args.umask.map(|m| m.0),
        init: args.init,
        preserve_fds: 0,
        ..ProcessRequest::default()
    }
}

/// In a pod, the network is the pod's unless the container has asked for another.
fn network(args: NetworkArgs, in_pod: bool) -> Result<NetworkRequest> {
    for port in &args.expose {
        netns::parse_expose(port)?;
    }
    let PlaceArgs { ip, ip6, mac_address: mac, network_alias: aliases } = args.place;
    if in_pod
        && args.network.is_empty()
        && (ip.is_some() || ip6.is_some() || mac.is_some() || !aliases.is_empty())
    {
        return Err(Error::new(
            Kind::Usage,
            "invalid config provided: networks must be defined when the pod is created: network cannot be configured when it is shared with a pod",
        )
        .hint("Give it to the pod when that is made: coracle pod create --network NAME --ip IP ..."));
    }
    let (mode, mac) = netns::merge_networks(args.network, AddressOptions { ip, ip6, mac, aliases })?;
    Ok(NetworkRequest {
        mode,
        ports: args.publish.into_iter().flatten().collect(),
        publish_all: args.publish_all,
        expose: args.expose,
        dns: args.names.dns()?,
        hosts: args.names.add_host.into_iter().flatten().collect(),
        mac,
        hosts_base: crate::spec::network::HostsBase::default(),
    })
}

impl NameArgs {
    /// What asks name servers.
    ///
    /// # Errors
    /// A text that is no address.
    pub fn dns(&self) -> Result<DnsSpec> {
        netns::dns_plan(&self.dns, &self.dns_search, &self.dns_option)
    }
}

fn mounts(args: MountArgs, zone: Option<PathBuf>) -> MountRequest {
    let make_source = ui::docker();
    let volumes = args.volume.into_iter().map(|v| MountArg { make_source, ..v.0 });
    let mounts = args.mount.into_iter().map(|m| m.0);
    let memory = args.tmpfs.into_iter().map(|t| t.0);
    MountRequest {
        list: volumes.chain(mounts).chain(memory).collect(),
        read_only_tmpfs: args.read_only_tmpfs,
        shm_size: args.shm_size.map(|s| s.0),
        zone,
        volumes_from: args.volumes_from,
        inherited: Vec::new(),
        image_volumes: args.image_volume,
    }
}

fn security(args: SecurityArgs, readonly_root: bool, caller: &Caller) -> Result<SecurityRequest> {
    let confined = confinement(args.confinement, caller)?;
    Ok(SecurityRequest { privileged: args.privileged, readonly_root, ..confined })
}

/// What the options on confinement ask for.
///
/// # Errors
/// A profile that cannot be read or is none.
pub fn confinement(args: ConfinementArgs, caller: &Caller) -> Result<SecurityRequest> {
    let mut request =
        SecurityRequest { cap_add: args.cap_add, cap_drop: args.cap_drop, ..SecurityRequest::default() };
    for option in args.security_opt {
        request.asked.push(option.to_string());
        match option {
            SecurityOpt::SeccompOff => request.seccomp = Some(SeccompSpec::Unconfined),
            SecurityOpt::SeccompDefault => request.seccomp = Some(SeccompSpec::Default),
            SecurityOpt::SeccompFile(path) => {
                let text = files::read("--security-opt seccomp", &path, caller)?;
                check_profile(&text).context(Kind::Usage, || {
                    format!("--security-opt seccomp: {} is not a profile", path.display())
                })?;
                request.seccomp = Some(SeccompSpec::Profile(text));
            }
            SecurityOpt::NoNewPrivileges(on) => request.no_new_privileges = on,
            SecurityOpt::Mask(paths) => request.mask.extend(paths),
            SecurityOpt::Unmask(patterns) => request.unmask.extend(patterns),
            SecurityOpt::ProcOptions(options) => request.proc_options.extend(options),
            SecurityOpt::UnmaskAll => request.unmask_all = true,
            SecurityOpt::Ignored { text, harmless: true } => {
                log::info!("--security-opt {text} has no effect: it is the default");
            }
            SecurityOpt::Ignored { text, harmless: false } => {
                log::warn!(
                    "--security-opt {text} is ignored: an ordinary user cannot set labels or profiles"
                );
            }
        }
    }
    Ok(request)
}

/// A profile is a JSON object with a default action; what it says is checked when it is compiled.
fn check_profile(text: &str) -> Result<()> {
    let json: serde_json::Value = serde_json::from_str(text).context(Kind::Usage, || "it is not JSON")?;
    match json.get("defaultAction").is_some_and(serde_json::Value::is_string) {
        true => Ok(()),
        false => Err(Error::new(Kind::Usage, "it has no defaultAction")),
    }
}

fn limits(args: LimitArgs) -> Result<LimitRequest> {
    let resources = args.resources.resources()?.limiting();
    if args.cgroups == Cgroups::Disabled && !resources.is_empty() {
        return Err(Error::new(Kind::Usage, "--cgroups=disabled leaves no place for limits")
            .hint("Leave out either --cgroups=disabled or the limits."));
    }
    Ok(LimitRequest {
        ulimits: args.ulimit,
        sysctls: args.sysctl,
        resources,
        cgroup_parent: args.cgroup_parent.filter(|path| !path.is_empty()),
    })
}

fn lifecycle(args: &LifecycleArgs, pidfile: Option<PathBuf>) -> LifecycleRequest {
    LifecycleRequest {
        auto_remove: args.rm,
        remove_image: false,
        stop_signal: args.stop_signal,
        stop_timeout: args.stop_timeout,
        timeout: args.timeout,
        monitor_pidfile: None,
        pidfile,
        restart: args.restart,
        requires: Vec::new(),
    }
}

/// The host's file with a zone's rules.
fn zone_file(zone: &str) -> Result<PathBuf> {
    let named = match zone {
        "local" => PathBuf::from("/etc/localtime"),
        name => Path::new(ZONES).join(name),
    };
    let unknown = || {
        Error::new(Kind::Usage, format!("--tz: time zone {zone:?} is not known to this machine"))
            .hint("List the zones with: timedatectl list-timezones; they come with the package tzdata.")
    };
    let path = named.canonicalize().map_err(|e| unknown().caused_by(e))?;
    if path.is_file() { Ok(path) } else { Err(unknown()) }
}
