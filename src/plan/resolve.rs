//! A request, an image and the caller become one plan. Pure: no file is read and nothing is asked of
//! the system here, so the whole of it is tested by tables.

use super::ids::{Account, Kept};
use super::mount::inherit::ImageVolumes;
use super::mount::{ImageArg, MountArg, SourceArg, clean_destination};
use super::notify::NotifyMode;
use super::process::{UserArg, program, working_directory};
use super::{
    Asked, ContainerPlan, ImageSource, IoPlan, LifecyclePlan, LimitPlan, LogDriver, MountPlan, MountSource,
    NamespacePlan, OverlayPlan, PLAN_VERSION, ProcessPlan, Request, Share, UserSpec, env, health, ids,
    limits, security, systemd,
};
use crate::container::ids::IdMaps;
use crate::container::{ContainerId, Name, RestartPolicy, Signal};
use crate::error::{Error, Kind, Result};
use crate::host::Caller;
use crate::image::{Image, RunConfig};
use crate::netns::{NetMode, NetPlan, check_publish, parse_expose, publish_exposed};
use crate::storage::rootfs::RootPlan;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Size of `/dev/shm` unless `--shm-size` says otherwise, in bytes.
const SHM_SIZE: u64 = 64 << 20;
/// Seconds between `stop`'s signal and SIGKILL unless `--stop-timeout` says otherwise.
const STOP_TIMEOUT: u32 = 10;
/// Where the program of `--init-path` appears.
const INIT_PLACE: &str = "/run/coracle-init";
/// The group that `--group-add` takes to mean the caller's own groups.
const KEEP_GROUPS: &str = "keep-groups";

/// What a plan needs beyond the request and the image.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The new container's identifier.
    pub id: ContainerId,
    /// Its name when none was asked for.
    pub spare_name: Name,
    /// Now.
    pub created: DateTime<Utc>,
    /// Who starts it.
    pub caller: Caller,
    /// The account, where its ids count.
    pub account: Account,
}

/// Makes the plan.
///
/// # Errors
/// Options that contradict each other, ask for what cannot be given, or an image whose configuration
/// cannot be carried out.
pub fn resolve(request: Request, image: Option<&Image>, facts: &Facts) -> Result<ContainerPlan> {
    let config = image.map(|i| &i.config.config);
    no_nul("working directory", config.map(|c| &c.working_dir).into_iter())?;
    check_namespaces(&request)?;
    let program = program(request.process.entrypoint.as_ref(), &request.process.command, config)?;
    let hostname = hostname(&request, facts);
    let exposed = exposed(&request, config);
    let network = network(&request, &exposed)?;
    let systemd = request.process.systemd.applies(&program.argv());
    let mounts = mounts(&request, config, facts, systemd)?;
    let limits = LimitPlan {
        ulimits: limits::ulimits(&request.limits.ulimits, &facts.caller.limits)?,
        sysctls: limits::sysctls(&request.limits.sysctls, &request.namespaces, &network.mode)?,
        shm_size: request.mounts.shm_size.unwrap_or(SHM_SIZE),
        resources: request.limits.resources.clone(),
        cgroup_parent: request.limits.cgroup_parent.clone(),
        manages_cgroups: systemd,
    };
    let security = security::confine(&request.security)?;
    let cwd = working_directory(request.process.cwd.as_deref(), config)?;
    let process = ProcessPlan {
        argv: argv(&request, program.argv()),
        env: environment(&request, config, facts, &hostname, systemd)?,
        user: user(&request, config, ids::kept(&request.ids, &facts.account, &cwd, &mounts))?,
        cwd,
        umask: request.process.umask.unwrap_or(0o022),
        preserve_fds: request.process.preserve_fds,
        init: request.process.init && request.process.init_path.is_none(),
        oom_score: request.process.oom_score,
        personality: request.process.personality,
    };
    let mut labels = config.map(|c| c.labels.clone()).unwrap_or_default();
    labels.extend(request.labels.clone());
    let lifecycle = lifecycle(&request, config, facts, systemd)?;
    let health = request.health.resolve(health::of_image(config.and_then(|c| c.healthcheck.as_ref())))?;
    if request.notify == NotifyMode::Healthy && health.is_none() {
        return Err(refuse(
            "--sdnotify=healthy: the container has no health check",
            "Give one: --health-cmd COMMAND",
        ));
    }
    Ok(ContainerPlan {
        version: PLAN_VERSION,
        id: facts.id.clone(),
        name: request.name.clone().unwrap_or_else(|| facts.spare_name.clone()),
        created: facts.created,
        image: image.map(ImageSource::of),
        root: root(&request, image, &facts.caller)?,
        process,
        hostname,
        ids: ids(&request, facts)?,
        network,
        mounts,
        secrets: request.secrets,
        files: request.files,
        chroot_dirs: request.chroot_dirs,
        devices: request.devices,
        limits,
        io: IoPlan { tty: request.tty, stdin: request.stdin, log: request.log },
        lifecycle,
        health,
        notify: request.notify,
        labels,
        annotations: request.annotations,
        asked: Asked {
            cidfile: None,
            create_command: request.create_command,
            entrypoint: program.entrypoint,
            command: program.command,
            exposed_ports: exposed.into_iter().collect(),
            cap_add: request.security.cap_add.iter().map(ToString::to_string).collect(),
            cap_drop: request.security.cap_drop.iter().map(ToString::to_string).collect(),
            security_opt: request.security.asked,
            binds: binds(request.mounts.list),
            publish_all: request.network.publish_all,
        },
        namespaces: request.namespaces,
        security,
    })
}

/// What can be refused before there is an image: contradictions, and what cannot be given. Called
/// before anything is pulled or written.
///
/// # Errors
/// As [`resolve`].
pub fn check(request: &Request, facts: &Facts) -> Result<()> {
    check_namespaces(request)?;
    ids(request, facts)?;
    request.health.check()?;
    network(request, &exposed(request, None))?;
    mounts(request, None, facts, false)?;
    limits::ulimits(&request.limits.ulimits, &facts.caller.limits)?;
    limits::sysctls(&request.limits.sysctls, &request.namespaces, &request.network.mode)?;
    security::confine(&request.security)?;
    working_directory(request.process.cwd.as_deref(), None)?;
    user(request, None, None)?;
    if request.rootfs.is_some() {
        root(request, None, &facts.caller)?;
        program(request.process.entrypoint.as_ref(), &request.process.command, None)?;
    }
    Ok(())
}

fn refuse(message: impl Into<String>, hint: &str) -> Error {
    Error::new(Kind::Usage, message).hint(hint)
}

/// Options that need a namespace of the container's own.
fn check_namespaces(request: &Request) -> Result<()> {
    let NamespacePlan { pid, ipc, no_shm, uts, .. } = &request.namespaces;
    if *uts != Share::Private && request.hostname.is_some() {
        return Err(refuse(
            format!("--hostname cannot be set together with --uts={uts}"),
            &format!("Leave out --uts={uts}, so that the container has a host name of its own."),
        ));
    }
    if (*ipc != Share::Private || *no_shm) && request.mounts.shm_size.is_some() {
        let ipc = if *no_shm { "none".to_owned() } else { ipc.to_string() };
        return Err(refuse(
            format!("--shm-size cannot be set together with --ipc={ipc}"),
            &format!("Leave out --ipc={ipc}, so that the container has a /dev/shm of its own."),
        ));
    }
    if *pid != Share::Private && request.process.init {
        return Err(refuse(
            format!("--init needs process ids of the container's own, and --pid={pid} shares others"),
            &format!("Leave out --init or --pid={pid}."),
        ));
    }
    if request.tty && matches!(request.log.driver, LogDriver::Passthrough | LogDriver::PassthroughTty) {
        return Err(refuse(
            "--log-driver=passthrough cannot be used with a terminal",
            "Leave out --tty, or use --log-driver=none.",
        ));
    }
    Ok(())
}

/// The container's ids. Other ones than the shared namespace's can be had for the files of images only.
fn ids(request: &Request, facts: &Facts) -> Result<IdMaps> {
    let maps = ids::maps(&request.ids, &facts.account)?;
    if maps.is_shifted() && request.rootfs.is_some() {
        return Err(refuse(
            "--rootfs cannot be used with other user ids: its files belong to the host's users",
            "Make an image of it: tar -C DIR -c . | coracle import - NAME",
        ));
    }
    Ok(maps)
}

/// The host's name where the host's network or UTS namespace is used, as podman does; else the short id.
fn hostname(request: &Request, facts: &Facts) -> String {
    let shared = request.namespaces.uts != Share::Private || request.network.mode == NetMode::Host;
    match &request.hostname {
        Some(name) => name.clone(),
        None => match &request.shared_hostname {
            Some(name) => name.clone(),
            None if shared => facts.caller.hostname.clone(),
            None => facts.id.short().to_owned(),
        },
    }
}

/// Ports of the image and of `--expose`, each with its protocol.
fn exposed(request: &Request, config: Option<&RunConfig>) -> BTreeSet<String> {
    let of_image = config.into_iter().flat_map(|c| c.exposed_ports.keys());
    of_image
        .chain(&request.network.expose)
        .map(|port| if port.contains('/') { port.clone() } else { format!("{port}/tcp") })
        .collect()
}

fn network(request: &Request, exposed: &BTreeSet<String>) -> Result<NetPlan> {
    let asked = &request.network;
    if asked.mode == NetMode::None && asked.dns != crate::netns::DnsPlan::default() {
        return Err(refuse(
            "--dns, --dns-search and --dns-option mean nothing with --network=none",
            "Leave them out, or leave out --network=none.",
        ));
    }
    if asked.mode == NetMode::None && asked.hosts.iter().any(|host| host.address.is_none()) {
        return Err(refuse(
            "--add-host with host-gateway means nothing with --network=none: the host cannot be reached",
            "Leave it out, or leave out --network=none.",
        ));
    }
    if let NetMode::Container(_) | NetMode::Ns(_) = &asked.mode {
        joined_network(request)?;
    }
    if !request.files.hosts && !asked.hosts.is_empty() {
        return Err(refuse("--add-host cannot be set together with --no-hosts", "Leave out one of the two."));
    }
    let mut ports = asked.ports.clone();
    if asked.publish_all {
        let mut wanted = Vec::new();
        for text in exposed {
            wanted.extend(parse_expose(text)?);
        }
        ports.extend(publish_exposed(&wanted, &ports));
    }
    check_publish(&mut ports)?;
    if !asked.mode.carries_ports() {
        ports.clear();
    }
    Ok(NetPlan {
        mode: asked.mode.clone(),
        ports,
        dns: asked.dns.clone(),
        hosts: asked.hosts.clone(),
        hosts_base: asked.hosts_base.clone(),
    })
}

/// What belongs to whoever made the network, and cannot be set by one who joins it.
fn joined_network(request: &Request) -> Result<()> {
    let asked = &request.network;
    let shares_files = matches!(asked.mode, NetMode::Container(_));
    let option = if !asked.ports.is_empty() || asked.publish_all {
        "--publish"
    } else if shares_files && asked.dns != crate::netns::DnsPlan::default() {
        "--dns, --dns-search or --dns-option"
    } else if shares_files && !asked.hosts.is_empty() {
        "--add-host"
    } else {
        return Ok(());
    };
    Err(refuse(
        format!("{option} cannot be used with --network={}, which is set up already", asked.mode),
        "Give the option to the container that has the network.",
    ))
}

fn root(request: &Request, image: Option<&Image>, caller: &Caller) -> Result<RootPlan> {
    let Some(rootfs) = &request.rootfs else {
        let image = image.ok_or_else(|| Error::new(Kind::Usage, "no image was named"))?;
        return Ok(RootPlan::Layers(image.layers.clone()));
    };
    let path: PathBuf = caller.cwd.join(&rootfs.path).components().collect();
    match (path == Path::new("/"), rootfs.overlay) {
        (true, true) => Ok(RootPlan::HostTree),
        (true, false) => Err(refuse(
            "the host's own root cannot be a container's root in place",
            "Run over a throw-away layer: coracle run --rootfs /:O COMMAND.",
        )),
        (false, overlay) => Ok(RootPlan::Directory { path, overlay }),
    }
}

/// An image's data that no kernel call could take.
fn no_nul<'a>(what: &str, mut texts: impl Iterator<Item = &'a String>) -> Result<()> {
    match texts.any(|t| t.contains('\0')) {
        true => Err(Error::new(Kind::Image, format!("the image's {what} has a NUL byte"))),
        false => Ok(()),
    }
}

fn environment(
    request: &Request,
    config: Option<&RunConfig>,
    facts: &Facts,
    hostname: &str,
    systemd: bool,
) -> Result<Vec<String>> {
    let of_image = config.map_or(&[][..], |c| &c.env);
    no_nul("environment", of_image.iter())?;
    let mut layered = env::layer(&request.process.env, of_image, &facts.caller.env, hostname, request.tty);
    if request.process.env.host {
        // The caller's own; whether the payload gets one is for --sdnotify to say.
        layered.retain(|entry| !entry.starts_with("NOTIFY_SOCKET="));
    }
    if systemd && !layered.iter().any(|entry| entry.starts_with("container_uuid=")) {
        layered.push(format!("container_uuid={}", &facts.id.as_str()[..32]));
    }
    Ok(layered)
}

/// What is executed; `--init-path` puts a program of the host before it.
fn argv(request: &Request, program: Vec<String>) -> Vec<String> {
    match &request.process.init_path {
        Some(_) => [INIT_PLACE, "--"].map(str::to_owned).into_iter().chain(program).collect(),
        None => program,
    }
}

/// Whom the payload runs as; `kept` is the user's own account, when the container has it.
fn user(request: &Request, config: Option<&RunConfig>, kept: Option<Kept>) -> Result<UserSpec> {
    let of_image = config.map_or("", |c| c.user.as_str());
    let user = match (&request.process.user, &kept) {
        (Some(user), _) => user.clone(),
        (None, Some(kept)) => kept.user.clone(),
        (None, None) => {
            let checked = of_image.parse::<UserArg>().map_err(|e| {
                Error::new(Kind::Image, "the image's user cannot be used")
                    .caused_by(e)
                    .hint("Name another one: coracle run --user 0 ...")
            });
            checked?.0
        }
    };
    let keep_groups = request.process.groups.iter().any(|g| g == KEEP_GROUPS);
    if keep_groups && request.process.groups.len() > 1 {
        return Err(refuse(
            "--group-add keep-groups cannot stand beside other groups",
            "Leave out either keep-groups or the other groups.",
        ));
    }
    let groups = if keep_groups { Vec::new() } else { request.process.groups.clone() };
    let super::request::ProcessRequest { passwd_entry, passwd_line, group_line, host_users, .. } =
        &request.process;
    let mut host_users = host_users.clone();
    let mut host_groups = Vec::new();
    if let Some(kept) = kept.filter(|_| *passwd_entry && passwd_line.is_none()) {
        host_users.extend(kept.passwd);
        host_groups.extend(kept.group);
    }
    Ok(UserSpec {
        user,
        groups,
        keep_groups,
        passwd_entry: *passwd_entry,
        passwd_line: passwd_line.clone(),
        group_line: group_line.clone(),
        host_users,
        host_groups,
    })
}

fn lifecycle(
    request: &Request,
    config: Option<&RunConfig>,
    facts: &Facts,
    systemd: bool,
) -> Result<LifecyclePlan> {
    let of_image = config.map(|c| c.stop_signal.as_str()).filter(|s| !s.is_empty());
    let of_image = of_image.or(systemd.then_some(systemd::STOP_SIGNAL));
    let signal = match (request.lifecycle.stop_signal, of_image) {
        (Some(signal), _) => signal,
        (None, None) => Signal::TERM,
        (None, Some(text)) => text.parse().map_err(|e: Error| {
            Error::new(Kind::Image, "the image's stop signal cannot be used")
                .caused_by(e)
                .hint("Name another one: coracle run --stop-signal TERM ...")
        })?,
    };
    let restart = request.lifecycle.restart;
    if request.lifecycle.auto_remove
        && matches!(restart, RestartPolicy::Always | RestartPolicy::UnlessStopped)
    {
        return Err(refuse(
            "--rm does not go with a container that is always started again",
            "Leave out --rm, or let it be started again after failures only: --restart on-failure.",
        ));
    }
    Ok(LifecyclePlan {
        auto_remove: request.lifecycle.auto_remove,
        stop_signal: signal.number(),
        stop_timeout: request.lifecycle.stop_timeout.unwrap_or(STOP_TIMEOUT),
        timeout: Some(request.lifecycle.timeout).filter(|seconds| *seconds > 0),
        pidfile: request.lifecycle.pidfile.as_ref().map(|p| facts.caller.cwd.join(p)),
        monitor_pidfile: request.lifecycle.monitor_pidfile.as_ref().map(|p| facts.caller.cwd.join(p)),
        restart,
        requires: request.lifecycle.requires.clone(),
    })
}

/// All mounts, parents before what is mounted below them. What was asked for comes first; the image's
/// volumes and our own additions fill places that are still free.
fn mounts(
    request: &Request,
    config: Option<&RunConfig>,
    facts: &Facts,
    systemd: bool,
) -> Result<Vec<MountPlan>> {
    let mut plans: Vec<MountPlan> = Vec::new();
    for asked in &request.mounts.list {
        let plan = mount(asked, facts)?;
        if plans.iter().any(|p| p.destination == plan.destination) {
            let place = plan.destination.display();
            return Err(refuse(
                format!("two mounts are asked for at {place}"),
                "Keep one of them, or choose another destination.",
            ));
        }
        plans.push(plan);
    }
    let mut fill = |plan: MountPlan| {
        if !plans.iter().any(|p| p.destination == plan.destination) {
            plans.push(plan);
        }
    };
    request.mounts.inherited.iter().cloned().for_each(&mut fill);
    let volumes = request.mounts.image_volumes;
    if let Some(config) = config.filter(|_| volumes != ImageVolumes::Ignore) {
        no_nul("volume list", config.volumes.keys())?;
        for path in config.volumes.keys() {
            let destination = clean_destination(&format!("/{path}")).map_err(|e| {
                Error::new(Kind::Image, format!("the image's volume {path:?} cannot be mounted")).caused_by(e)
            })?;
            let source = match volumes {
                ImageVolumes::Tmpfs => memory(),
                _ => volume(None, &destination, true, facts),
            };
            fill(MountPlan::new(source, destination));
        }
    }
    if systemd {
        systemd::mounts(request.process.systemd_size).for_each(&mut fill);
    }
    if let Some(path) = &request.process.init_path {
        let source = MountSource::Bind { path: path.clone(), recursive: false };
        fill(MountPlan { read_only: true, ..MountPlan::new(source, PathBuf::from(INIT_PLACE)) });
    }
    if request.security.readonly_root && request.mounts.read_only_tmpfs {
        for place in ["/run", "/tmp", "/var/tmp"] {
            fill(MountPlan::new(memory(), PathBuf::from(place)));
        }
    }
    if let Some(zone) = &request.mounts.zone {
        let source = MountSource::Bind { path: zone.clone(), recursive: false };
        fill(MountPlan { read_only: true, ..MountPlan::new(source, PathBuf::from("/etc/localtime")) });
    }
    plans.sort_by_key(|p| p.destination.components().count());
    Ok(plans)
}

/// The text of what was asked to be mounted from the host or from volumes.
fn binds(list: Vec<MountArg>) -> Vec<String> {
    let kept = |m: &MountArg| matches!(m.source, SourceArg::Bind { .. } | SourceArg::Volume { .. });
    list.into_iter().filter(kept).map(|m| m.asked).collect()
}

fn memory() -> MountSource {
    MountSource::Tmpfs { size: None, mode: None, copy_up: true, inodes: None, uid: None, gid: None }
}

/// A volume; without a name it gets one made from the container's id and the destination.
fn volume(name: Option<Name>, destination: &Path, copy_up: bool, facts: &Facts) -> MountSource {
    let anonymous = name.is_none();
    let seed = format!("{} {}", facts.id, destination.display());
    let made = || Name::from(ContainerId::from_random(Sha256::digest(seed).into()));
    MountSource::Volume { name: name.unwrap_or_else(made), anonymous, copy_up }
}

fn mount(asked: &MountArg, facts: &Facts) -> Result<MountPlan> {
    let host = |path: PathBuf| facts.caller.cwd.join(path).components().collect::<PathBuf>();
    let source = match asked.source.clone() {
        SourceArg::Bind { path, recursive } => MountSource::Bind { path: host(path), recursive },
        SourceArg::Volume { name, copy_up } => volume(name, &asked.destination, copy_up, facts),
        SourceArg::Tmpfs { size, mode, copy_up, inodes, uid, gid } => {
            MountSource::Tmpfs { size, mode, copy_up, inodes, uid, gid }
        }
        SourceArg::Ramfs { mode, copy_up } => MountSource::Ramfs { mode, copy_up },
        SourceArg::Devpts { uid, gid, mode, max } => MountSource::Devpts { uid, gid, mode, max },
        SourceArg::Image(ImageArg::Found(reference, id, layers)) => {
            MountSource::Image { reference, id, layers }
        }
        SourceArg::Image(ImageArg::Named(name)) | SourceArg::Glob(name) => {
            return Err(refuse(
                format!("mount source {name:?} was not looked up"),
                "Report this as a fault.",
            ));
        }
    };
    Ok(MountPlan {
        destination: asked.destination.clone(),
        source,
        read_only: asked.read_only,
        no_exec: asked.no_exec,
        suid: asked.suid,
        dev: asked.dev,
        propagation: asked.propagation.clone(),
        chown: asked.chown,
        overlay: asked
            .overlay
            .clone()
            .map(|kept| OverlayPlan { kept: kept.map(|(upper, work)| (host(upper), host(work))) }),
        subpath: asked.subpath.clone(),
    })
}

#[cfg(test)]
pub(super) mod tests;
