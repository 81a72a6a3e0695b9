//! Combines a request, an image and the caller into a plan. This is pure: no file is read and the system is not
//! queried, so all of it is tested by tables.

mod facts;
mod mounts;
mod network;
mod payload;
mod refusal;

use super::process::{program, working_directory};
use super::{Request, health, ids, limits, security, systemd};
use crate::container::ids::IdMaps;
use crate::container::{RestartPolicy, Signal};
use crate::error::{Error, Kind, Result, Warning, phrases};
use crate::host::Caller;
use crate::image::{Image, RunConfig};
use crate::spec::health::OnFailure;
use crate::spec::{
    Asked, ContainerSpec, HealthCheck, ImageSource, IoSpec, LifecycleSpec, LimitSpec, LogDriver,
    NamespaceSpec, PLAN_VERSION, ProcessSpec, Share,
};
use crate::spec::{NetworkMode, NotifyMode, RootSpec};
pub use facts::Facts;
use mounts::{binds, mounts};
use network::{exposed, network};
use payload::{argv, environment, user};
use refusal::{no_nul, refuse};
use std::path::{Path, PathBuf};

/// Size of `/dev/shm` unless `--shm-size` says otherwise, in bytes.
const SHM_SIZE: u64 = 64 << 20;
/// The variable, and the label, that tell which systemd unit creates the container, as in podman.
pub const UNIT: &str = "PODMAN_SYSTEMD_UNIT";
/// Seconds between `stop`'s signal and SIGKILL unless `--stop-timeout` says otherwise.
const STOP_TIMEOUT: u32 = 10;

/// A plan, and what of the request has no effect in it.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The plan.
    pub spec: ContainerSpec,
    /// What the user should know, in words.
    pub warnings: Vec<Warning>,
}

/// Makes the plan.
///
/// # Errors
/// Options that contradict each other, ask for what cannot be given, or an image whose configuration
/// cannot be applied.
pub fn resolve(request: Request, image: Option<&Image>, facts: &Facts) -> Result<Resolved> {
    let config = image.map(|i| &i.config.config);
    no_nul("working directory", config.map(|c| &c.working_dir).into_iter())?;
    check_namespaces(&request)?;
    let program = program(request.process.entrypoint.as_ref(), &request.process.command, config)?;
    let hostname = hostname(&request, facts);
    let exposed = exposed(&request, config)?;
    let network = network(&request, &exposed)?;
    let systemd = request.process.systemd.applies(&program.argv());
    let mounts = mounts(&request, config, facts, systemd)?;
    let limits = LimitSpec {
        ulimits: limits::ulimits(&request.limits.ulimits, &facts.caller.limits)?,
        sysctls: limits::sysctls(&request.limits.sysctls, &request.namespaces, &network.mode)?,
        shm_size: request.mounts.shm_size.unwrap_or(SHM_SIZE),
        resources: request.limits.resources.clone(),
        cgroup_parent: request.limits.cgroup_parent.clone(),
        manages_cgroups: systemd,
    };
    let security = security::confine(&request.security)?;
    let cwd = working_directory(request.process.cwd.as_deref(), config)?;
    let process = ProcessSpec {
        argv: argv(&request, program.argv()),
        env: environment(&request, config, facts, &hostname, systemd)?,
        user: user(&request, config, ids::kept(&request.ids, &facts.account, &cwd, &mounts))?,
        // Podman makes the image's only, docker any. Whether it may be made in a mount shows when that is there.
        cwd_must_exist: request.process.cwd.is_some()
            && !request.files.as_docker
            && !mounts.iter().any(|mount| cwd.starts_with(&mount.destination)),
        cwd,
        umask: request.process.umask.unwrap_or(0o022),
        preserve_fds: request.process.preserve_fds,
        init: request.process.init && request.process.init_path.is_none(),
        idle: request.process.idle,
        oom_score: request.process.oom_score,
        personality: request.process.personality,
    };
    let mut given = request.labels.clone();
    if let Some((name, unit)) = facts.caller.env.iter().find(|(name, _)| name == UNIT) {
        // The unit that creates it, which auto-update restarts.
        given.entry(name.clone()).or_insert_with(|| unit.clone());
    }
    let mut labels = config.map(|c| c.labels.clone()).unwrap_or_default();
    labels.extend(given.clone());
    let lifecycle = lifecycle(&request, config, facts, systemd)?;
    let health = request.health.resolve(health::of_image(config.and_then(|c| c.healthcheck.as_ref())))?;
    if let Some(action) = request.health.on_failure.filter(|action| *action != OnFailure::None)
        && health.is_none()
    {
        return Err(refuse(
            format!("cannot set on-failure action to {} without a health check", action.as_str()),
            "Give one: --health-cmd COMMAND",
        ));
    }
    if request.notify == NotifyMode::Healthy && health.is_none() {
        return Err(refuse(
            "--sdnotify=healthy: the container has no health check",
            "Give one: --health-cmd COMMAND",
        ));
    }
    let warnings = warnings(&request, health.as_ref());
    let spec = ContainerSpec {
        version: PLAN_VERSION,
        id: facts.id.clone(),
        name: request.name.clone().unwrap_or_else(|| facts.spare_name.clone()),
        created: facts.created,
        image: image.map(ImageSource::of),
        root: root(&request, image, &facts.caller)?,
        process,
        hostname,
        domainname: request.domainname.clone(),
        ids: ids(&request, facts)?,
        network,
        mounts,
        secrets: request.secrets,
        files: request.files,
        chroot_dirs: request.chroot_dirs,
        devices: request.devices,
        limits,
        io: IoSpec { tty: request.tty, stdin: request.stdin, log: request.log },
        lifecycle,
        health,
        notify: request.notify,
        pod: request.pod,
        labels,
        annotations: request.annotations,
        asked: Asked {
            cidfile: None,
            labels: given,
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
    };
    Ok(Resolved { spec, warnings })
}

/// Requests that had no effect.
fn warnings(request: &Request, check: Option<&HealthCheck>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let Request { network, health, .. } = request;
    if !network.mode.carries_ports() && (network.publish_all || !network.ports.is_empty()) {
        warnings.push(phrases::published_ports_discarded(&network.mode.to_string()));
    }
    if check.is_none() && !health.is_empty() && !health.off && health.test.is_none() {
        warnings.push("there is no health check for the other --health options; give --health-cmd".into());
    }
    warnings
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
    network(request, &exposed(request, None)?)?;
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

/// Options that need a namespace of the container's own.
fn check_namespaces(request: &Request) -> Result<()> {
    let NamespaceSpec { pid, ipc, no_shm, uts, .. } = &request.namespaces;
    for (option, name) in [("--hostname", &request.hostname), ("--domainname", &request.domainname)] {
        if *uts != Share::Private && name.is_some() {
            return Err(refuse(
                format!("{option} cannot be set together with --uts={uts}"),
                &format!("Leave out --uts={uts}, so that the container has names of its own."),
            ));
        }
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
            format!("--init needs a PID namespace of its own, and --pid={pid} shares another"),
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
            "--rootfs cannot be used with another id map: its files belong to the host's users",
            "Make an image of it: tar -C DIR -c . | coracle import - NAME",
        ));
    }
    Ok(maps)
}

/// The host's name where the host's network or UTS namespace is used, as podman does; else the short id.
fn hostname(request: &Request, facts: &Facts) -> String {
    let shared = request.namespaces.uts != Share::Private || request.network.mode == NetworkMode::Host;
    match &request.hostname {
        Some(name) => name.clone(),
        None => match &request.shared_hostname {
            Some(name) => name.clone(),
            None if shared => facts.caller.hostname.clone(),
            None => facts.id.short().to_owned(),
        },
    }
}

fn root(request: &Request, image: Option<&Image>, caller: &Caller) -> Result<RootSpec> {
    let Some(rootfs) = &request.rootfs else {
        if image.is_none() && request.process.idle {
            return Ok(RootSpec::Layers(Vec::new()));
        }
        let image = image.ok_or_else(|| Error::new(Kind::Usage, "no image was named"))?;
        return Ok(RootSpec::Layers(image.layers.clone()));
    };
    let path: PathBuf = caller.cwd.join(&rootfs.path).components().collect();
    match (path == Path::new("/"), rootfs.overlay) {
        (true, true) => Ok(RootSpec::HostTree),
        (true, false) => Err(refuse(
            "the host's root cannot be used directly as a container's root",
            "Run over a throw-away layer: coracle run --rootfs /:O COMMAND.",
        )),
        (false, overlay) => Ok(RootSpec::Directory { path, overlay }),
    }
}

fn lifecycle(
    request: &Request,
    config: Option<&RunConfig>,
    facts: &Facts,
    systemd: bool,
) -> Result<LifecycleSpec> {
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
        return Err(phrases::conflicting_options("--rm", "--restart")
            .hint("Leave out --rm, or restart only after failures: --restart on-failure."));
    }
    Ok(LifecycleSpec {
        auto_remove: request.lifecycle.auto_remove,
        remove_image: request.lifecycle.remove_image,
        stop_signal: signal.number(),
        stop_timeout: request.lifecycle.stop_timeout.unwrap_or(STOP_TIMEOUT),
        timeout: Some(request.lifecycle.timeout).filter(|seconds| *seconds > 0),
        id_file: None,
        pidfile: request.lifecycle.pidfile.as_ref().map(|p| facts.caller.cwd.join(p)),
        monitor_pidfile: request.lifecycle.monitor_pidfile.as_ref().map(|p| facts.caller.cwd.join(p)),
        restart,
        requires: request.lifecycle.requires.clone(),
        replaces: None,
    })
}

#[cfg(test)]
pub(super) mod tests;
