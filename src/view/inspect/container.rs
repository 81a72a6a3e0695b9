//! A container as `inspect` shows it: docker's structure with podman's additions.

use crate::container::ids::{Extent, IdMaps};
use crate::container::{Signal, Status};
use crate::error::Result;
use crate::runtime::usage::written;
use crate::spec::network::HostEntry;
use crate::spec::{
    ContainerSpec, DeviceSpec, LogDriver, MountSource, MountSpec, NetworkMode, RootSpec, SeccompSpec, Share,
};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, ExecRecord, LOST_EXIT_CODE, Summary};
use crate::view::Dialect;
use serde_json::{Map, Value, json};
use std::path::Path;

mod health;
mod network;
mod secrets;
mod time;

use time::{NEVER, time};

pub(super) fn show(store: &Store, dir: &ContainerDir, size: bool, dialect: Dialect) -> Result<Value> {
    let plan = dir.spec()?;
    let summary = dir.summary();
    let sizes = if size { Some(sizes(store, dir, &plan)?) } else { None };
    let execs = execs(dir, &summary)?;
    let root_caps = matches!(plan.process.user.user.split(':').next(), Some("" | "0" | "root") | None);
    let effective = if root_caps { &plan.security.capabilities } else { &plan.security.ambient_capabilities };
    let mut all = json!({
        "Id": summary.id,
        "Created": time(plan.created),
        "Path": plan.process.argv.first(),
        "Args": plan.process.argv.get(1..),
        "State": state(dir, &plan, &summary, dialect)?,
        "Image": plan.image.as_ref().map_or("", |image| image.id.hex()),
        "ImageDigest": plan.image.as_ref().map_or("", |image| image.manifest.as_str()),
        "ImageName": plan.image.as_ref().map_or("", |image| image.reference.as_str()),
        "Rootfs": match &plan.root {
            RootSpec::Directory { path, .. } => path.to_string_lossy(),
            RootSpec::HostTree => "/".into(),
            _ => "".into(),
        },
        "Pod": "",
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "StaticDir": dir.path(),
        "OCIRuntime": "coracle",
        "PidFile": shown_path(plan.lifecycle.pidfile.as_deref()),
        "ConmonPidFile": shown_path(plan.lifecycle.monitor_pidfile.as_deref()),
        "LogPath": log_path(dir, &plan),
        "Name": summary.name,
        "RestartCount": dir.run_record()?.map_or(0, |run| run.restarts),
        "Driver": "overlay",
        "MountLabel": "",
        "ProcessLabel": "",
        "EffectiveCaps": effective,
        "BoundingCaps": plan.security.capabilities,
        "ExecIDs": execs.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(),
        "Execs": execs.iter().map(show_exec).collect::<Vec<_>>(),
        "GraphDriver": graph_driver(store, dir, &plan, &summary),
        "Mounts": plan.mounts.iter().filter_map(|mount| show_mount(store, mount)).collect::<Vec<_>>(),
        "Dependencies": dependencies(&plan),
        "NetworkSettings": network::settings(store, dir, &plan, &summary)?,
        "Namespace": "",
        "IsInfra": false,
        "Config": health::config(dir, &plan, config(store, &plan)),
        "HostConfig": host_config(dir, &plan),
    });
    if let (Some((written, total)), Value::Object(map)) = (sizes, &mut all) {
        map.insert("SizeRw".into(), written.into());
        map.insert("SizeRootFs".into(), total.into());
    }
    Ok(all)
}

fn shown_path(path: Option<&Path>) -> String {
    path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The processes of `exec` in this run, those included that ended a short while ago in the background.
fn execs(dir: &ContainerDir, summary: &Summary) -> Result<Vec<ExecRecord>> {
    let mut all = dir.execs()?;
    all.retain(|e| e.run == summary.run && summary.status.is_live() && (e.code.is_some() || e.is_running()));
    Ok(all)
}

/// In the shape of docker's exec objects.
fn show_exec(exec: &ExecRecord) -> Value {
    let running = exec.is_running();
    json!({
        "ID": exec.id,
        "Running": running,
        "ExitCode": exec.code,
        "Pid": exec.process.filter(|_| running).map_or(0, |p| p.pid),
        "ProcessConfig": {"entrypoint": exec.argv.first(), "arguments": exec.argv.get(1..)},
    })
}

fn sizes(store: &Store, dir: &ContainerDir, plan: &ContainerSpec) -> Result<(u64, u64)> {
    let written = written(store, dir)?;
    let mut below = 0;
    if let RootSpec::Layers(layers) = &plan.root {
        below =
            layers.iter().filter_map(|layer| store.layers().record(layer).ok()).map(|layer| layer.size).sum();
    }
    Ok((written, written + below))
}

fn state(dir: &ContainerDir, plan: &ContainerSpec, summary: &Summary, dialect: Dialect) -> Result<Value> {
    let status = summary.status;
    let run = dir.run_record()?;
    let exit = dir.exit_record()?.filter(|exit| exit.run == summary.run && !status.is_live());
    let live = run.as_ref().filter(|_| status.is_live());
    let lost = if status == Status::Crashed { LOST_EXIT_CODE } else { 0 };
    Ok(json!({
        "Status": status.as_str(),
        "Running": status == Status::Running,
        "Paused": status == Status::Paused,
        "Restarting": status == Status::Restarting,
        "OOMKilled": exit.as_ref().is_some_and(|exit| exit.oom_killed),
        "Dead": false,
        "Pid": live.map_or(0, |run| run.init.pid),
        "ConmonPid": run.as_ref().filter(|_| status.is_active()).map_or(0, |run| run.monitor.pid),
        "ExitCode": exit.as_ref().map_or(lost, |exit| exit.code),
        "Error": exit.as_ref().and_then(|exit| exit.error.as_deref()).unwrap_or_default(),
        "StartedAt": summary.started.map_or(NEVER.to_owned(), time),
        "FinishedAt": summary.finished.map_or(NEVER.to_owned(), time),
        "Health": health::state(dir, plan, summary, dialect),
    }))
}

fn log_path(dir: &ContainerDir, plan: &ContainerSpec) -> String {
    match (plan.io.log.driver, &plan.io.log.path) {
        (LogDriver::K8sFile | LogDriver::JsonFile, None) => dir.log_path().to_string_lossy().into_owned(),
        (LogDriver::K8sFile | LogDriver::JsonFile, Some(path)) => path.to_string_lossy().into_owned(),
        _ => String::new(),
    }
}

fn graph_driver(store: &Store, dir: &ContainerDir, plan: &ContainerSpec, summary: &Summary) -> Value {
    let mut data = Map::new();
    if let RootSpec::Layers(layers) = &plan.root {
        // Top first, as the kernel wants them.
        let lower: Vec<String> = layers
            .iter()
            .rev()
            .filter_map(|layer| Some(store.layers().path(layer).ok()?.to_string_lossy().into_owned()))
            .collect();
        data.insert("LowerDir".into(), lower.join(":").into());
    }
    data.insert("UpperDir".into(), dir.upper().to_string_lossy().into());
    data.insert("WorkDir".into(), dir.work().to_string_lossy().into());
    if summary.status.is_live() {
        data.insert("MergedDir".into(), dir.merged().to_string_lossy().into());
    }
    json!({ "Name": "overlay", "Data": data })
}

fn show_mount(store: &Store, mount: &MountSpec) -> Option<Value> {
    let (kind, name, source, driver, options) = match &mount.source {
        MountSource::Bind { path, recursive } => {
            ("bind", "", mount.whole(path), "", if *recursive { "rbind" } else { "bind" })
        }
        MountSource::Volume { name, .. } => {
            ("volume", name.as_str(), store.volumes().path(name).unwrap_or_default(), "local", "rbind")
        }
        MountSource::Image { reference, .. } => ("image", "", reference.into(), "", "rbind"),
        // podman has these in HostConfig.Tmpfs only.
        MountSource::Tmpfs { .. } | MountSource::Ramfs { .. } | MountSource::Devpts { .. } => return None,
    };
    let mut options = vec![options];
    options.extend(
        [(!mount.suid, "nosuid"), (!mount.dev, "nodev"), (mount.no_exec, "noexec")]
            .iter()
            .filter_map(|(on, word)| on.then_some(*word)),
    );
    Some(json!({
        "Type": kind,
        "Name": name,
        "Source": source,
        "Destination": mount.destination,
        "Driver": driver,
        "Mode": "",
        "Options": options,
        "RW": !mount.read_only,
        "Propagation": mount.propagation.as_deref().unwrap_or("rprivate"),
    }))
}

fn dependencies(plan: &ContainerSpec) -> Vec<String> {
    let ns = &plan.namespaces;
    let shared =
        [&ns.pid, &ns.ipc, &ns.uts, &ns.cgroup, &ns.user].into_iter().filter_map(|share| match share {
            Share::Container(id) => Some(id.clone()),
            _ => None,
        });
    let mut ids: Vec<String> = shared.collect();
    if let NetworkMode::Container(id) = &plan.network.mode {
        ids.push(id.clone());
    }
    ids.sort();
    ids.dedup();
    ids
}

fn config(store: &Store, plan: &ContainerSpec) -> Value {
    let stop_signal = plan.lifecycle.stop_signal.to_string().parse::<Signal>().unwrap_or(Signal::TERM);
    let exposed: Map<String, Value> =
        plan.asked.exposed_ports.iter().map(|port| (port.clone(), json!({}))).collect();
    json!({
        "Hostname": plan.hostname,
        "Domainname": "",
        "User": plan.process.user.user,
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "ExposedPorts": exposed,
        "Tty": plan.io.tty,
        "OpenStdin": plan.io.stdin,
        "StdinOnce": false,
        "Env": plan.process.env,
        "Cmd": plan.asked.command,
        "Image": plan.image.as_ref().map_or("", |image| image.reference.as_str()),
        "Volumes": null,
        "WorkingDir": plan.process.cwd,
        "Entrypoint": plan.asked.entrypoint,
        "OnBuild": null,
        "Labels": plan.labels,
        "Annotations": plan.annotations,
        "StopSignal": stop_signal.to_string(),
        "CreateCommand": plan.asked.create_command,
        "Umask": format!("{:04o}", plan.process.umask),
        "Timeout": plan.lifecycle.timeout.unwrap_or(0),
        "StopTimeout": plan.lifecycle.stop_timeout,
        "sdNotifyMode": plan.notify.as_str(),
        "Passwd": plan.process.user.passwd_entry,
        "Secrets": secrets::shown(store, plan),
    })
}

/// The usual user namespace has no name in podman's inspect.
fn user_mode(plan: &ContainerSpec) -> String {
    match &plan.namespaces.user {
        Share::Private if plan.ids.is_shifted() => "private".to_owned(),
        Share::Private => String::new(),
        share => share.to_string(),
    }
}

/// As podman writes them: `INSIDE:OUTSIDE:COUNT`, where the user is 0 outside.
fn id_mappings(ids: &IdMaps) -> Value {
    let lines = |extents: &[Extent]| -> Vec<String> {
        extents.iter().map(|e| format!("{}:{}:{}", e.inside, e.outside, e.count)).collect()
    };
    json!({ "UidMap": lines(&ids.uids), "GidMap": lines(&ids.gids) })
}

fn device(device: &DeviceSpec) -> Value {
    json!({
        "PathOnHost": device.host,
        "PathInContainer": device.inside,
        "CgroupPermissions": device.permissions,
    })
}

fn host_config(dir: &ContainerDir, plan: &ContainerSpec) -> Value {
    let restart = dir.restart_policy(plan.lifecycle.restart);
    let binds: Vec<String> = plan.mounts.iter().filter_map(bind).collect();
    let tmpfs: Map<String, Value> = plan.mounts.iter().filter_map(tmpfs).collect();
    let host = |entry: &HostEntry| {
        let address = entry.address.map_or("host-gateway".to_owned(), |address| address.to_string());
        format!("{}:{address}", entry.name)
    };
    let limit = |n: u64| if n == u64::MAX { json!(-1) } else { json!(n) };
    let ulimits: Vec<Value> = plan
        .limits
        .ulimits
        .iter()
        .map(|l| json!({ "Name": format!("RLIMIT_{}", l.name.to_ascii_uppercase()), "Soft": limit(l.soft), "Hard": limit(l.hard) }))
        .collect();
    let mut security = plan.asked.security_opt.clone();
    if plan.security.seccomp == SeccompSpec::Unconfined && security.is_empty() && !plan.security.privileged {
        security.push("seccomp=unconfined".to_owned());
    }
    let mut config = json!({
        "Binds": binds,
        "CgroupMode": plan.namespaces.cgroup.to_string(),
        "ContainerIDFile": shown_path(plan.asked.cidfile.as_deref()),
        "LogConfig": {
            "Type": plan.io.log.driver,
            "Config": null,
            "Path": log_path(dir, plan),
            "Tag": plan.io.log.tag.as_deref().unwrap_or_default(),
            "Size": plan.io.log.max_size.map_or("0B".to_owned(), crate::text::units::size),
        },
        "NetworkMode": plan.network.mode.to_string(),
        "PortBindings": network::bindings(plan),
        "RestartPolicy": { "Name": restart.name(), "MaximumRetryCount": restart.most() },
        "AutoRemove": plan.lifecycle.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": null,
        "CapAdd": plan.asked.cap_add,
        "CapDrop": plan.asked.cap_drop,
        "Dns": plan.network.dns.servers,
        "DnsOptions": plan.network.dns.options,
        "DnsSearch": plan.network.dns.search,
        "ExtraHosts": plan.network.hosts.iter().map(host).collect::<Vec<_>>(),
        "GroupAdd": plan.process.user.groups,
        "IpcMode": plan.namespaces.ipc_mode(),
        "Cgroup": "",
        "Cgroups": "default",
        "Links": null,
        "OomScoreAdj": plan.process.oom_score.unwrap_or(0),
        "Devices": plan.devices.iter().map(device).collect::<Vec<_>>(),
        "PidMode": plan.namespaces.pid.to_string(),
        "Privileged": plan.security.privileged,
        "PublishAllPorts": plan.asked.publish_all,
        "ReadonlyRootfs": plan.security.readonly_root,
        "SecurityOpt": security,
        "Tmpfs": tmpfs,
        "UTSMode": plan.namespaces.uts.to_string(),
        "UsernsMode": user_mode(plan),
        "ShmSize": plan.limits.shm_size,
        "Runtime": "coracle",
        "Init": plan.process.init,
        "Sysctls": plan.limits.sysctls,
        "Ulimits": ulimits,
    });
    if let (Value::Object(all), Value::Object(limits)) =
        (&mut config, crate::view::inspect::limits::shown(dir, plan))
    {
        all.extend(limits);
        if plan.ids.is_shifted() {
            all.insert("IDMappings".to_owned(), id_mappings(&plan.ids));
        }
    }
    config
}

fn options(mount: &MountSpec) -> Vec<String> {
    let mut options = vec![if mount.read_only { "ro" } else { "rw" }.to_owned()];
    options.push(mount.propagation.clone().unwrap_or_else(|| "rprivate".to_owned()));
    let flags = [(!mount.suid, "nosuid"), (!mount.dev, "nodev"), (mount.no_exec, "noexec")];
    options.extend(flags.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned()));
    options
}

fn bind(mount: &MountSpec) -> Option<String> {
    let source = match &mount.source {
        MountSource::Bind { path, .. } => mount.whole(path).to_string_lossy().into_owned(),
        MountSource::Volume { name, .. } => name.to_string(),
        _ => return None,
    };
    Some(format!("{source}:{}:{}", mount.destination.display(), options(mount).join(",")))
}

fn tmpfs(mount: &MountSpec) -> Option<(String, Value)> {
    let MountSource::Tmpfs { size, mode, .. } = &mount.source else { return None };
    let mut options = options(mount);
    options.extend(size.map(|size| format!("size={size}")));
    options.extend(mode.map(|mode| format!("mode={mode:o}")));
    Some((mount.destination.to_string_lossy().into_owned(), options.join(",").into()))
}
