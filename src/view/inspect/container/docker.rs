//! Docker's document of a container (`docker inspect`, Engine API 1.47).

use super::facts::{Facts, shown_path};
use super::time::time;
use super::{health, mounts, network};
use crate::container::{Signal, Status};
use crate::error::Result;
use crate::text::{Differs, Document};
use crate::view::Dialect;
use crate::view::dialect::short_image_name;
use crate::view::inspect::differences;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

mod host;

/// Seconds that docker waits when nothing else was asked for.
const STOP_TIMEOUT: u32 = 10;

/// Where templates see something else than JSON shows. Times are strings in docker.
const DIFFERENCES: [(&str, Differs); 30] = [
    ("State.Health", Differs::Unset),
    ("SizeRw", Differs::Unset),
    ("SizeRootFs", Differs::Unset),
    ("Mounts.*.Name", Differs::Omitted),
    ("Mounts.*.Driver", Differs::Omitted),
    ("HostConfig.Annotations", Differs::Omitted),
    ("HostConfig.Mounts", Differs::Omitted),
    ("HostConfig.StorageOpt", Differs::Omitted),
    ("HostConfig.Tmpfs", Differs::Omitted),
    ("HostConfig.Sysctls", Differs::Omitted),
    ("HostConfig.KernelMemory", Differs::Omitted),
    ("HostConfig.KernelMemoryTCP", Differs::Omitted),
    ("HostConfig.Init", Differs::Unset),
    ("HostConfig.MaskedPaths", Differs::Omitted),
    ("HostConfig.ReadonlyPaths", Differs::Omitted),
    ("ExecIDs", Differs::Nil),
    ("HostConfig.Binds", Differs::Nil),
    ("HostConfig.VolumesFrom", Differs::Nil),
    ("HostConfig.CapAdd", Differs::Nil),
    ("HostConfig.CapDrop", Differs::Nil),
    ("HostConfig.ExtraHosts", Differs::Nil),
    ("HostConfig.GroupAdd", Differs::Nil),
    ("HostConfig.Links", Differs::Nil),
    ("HostConfig.SecurityOpt", Differs::Nil),
    ("HostConfig.DeviceCgroupRules", Differs::Nil),
    ("HostConfig.DeviceRequests", Differs::Nil),
    ("NetworkSettings.SecondaryIPAddresses", Differs::Nil),
    ("NetworkSettings.SecondaryIPv6Addresses", Differs::Nil),
    ("NetworkSettings.Networks.*.Aliases", Differs::Nil),
    ("NetworkSettings.Networks.*.DNSNames", Differs::Nil),
];

/// A container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    created: String,
    path: String,
    args: Vec<String>,
    state: State,
    image: String,
    resolv_conf_path: &'static str,
    hostname_path: &'static str,
    hosts_path: &'static str,
    log_path: String,
    name: String,
    restart_count: u32,
    driver: &'static str,
    platform: &'static str,
    mount_label: &'static str,
    process_label: &'static str,
    app_armor_profile: &'static str,
    #[serde(rename = "ExecIDs")]
    exec_ids: Vec<String>,
    host_config: host::Host,
    graph_driver: GraphDriver,
    size_rw: Option<u64>,
    size_root_fs: Option<u64>,
    mounts: Vec<Mount>,
    config: Config,
    network_settings: network::Settings,
}

/// Where its files are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    data: Map<String, Value>,
    name: &'static str,
}

/// How it stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: &'static str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: i32,
    exit_code: u8,
    error: String,
    started_at: String,
    finished_at: String,
    health: Option<health::State>,
}

/// A mount.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    #[serde(rename = "Type")]
    kind: &'static str,
    name: String,
    source: String,
    destination: String,
    driver: &'static str,
    mode: &'static str,
    #[serde(rename = "RW")]
    writable: bool,
    propagation: String,
}

/// How it was configured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    hostname: String,
    #[serde(rename = "Domainname")]
    domain_name: String,
    user: String,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    exposed_ports: Map<String, Value>,
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
    env: Vec<String>,
    cmd: Vec<String>,
    healthcheck: Option<health::DockerConfig>,
    args_escaped: bool,
    image: String,
    volumes: Map<String, Value>,
    working_dir: String,
    entrypoint: Vec<String>,
    network_disabled: bool,
    mac_address: &'static str,
    on_build: Vec<String>,
    labels: BTreeMap<String, String>,
    stop_signal: String,
    stop_timeout: Option<u32>,
    shell: Vec<String>,
}

pub(super) fn document(facts: &Facts<'_>) -> Result<Document> {
    let all = serde_json::to_value(container(facts)?).unwrap_or_default();
    let document = Document::new(all, &DIFFERENCES).differing("NetworkSettings", &network::DIFFERENCES);
    Ok(differences::docker_config(document))
}

fn container(facts: &Facts<'_>) -> Result<Container> {
    let (plan, summary) = (&facts.plan, &facts.summary);
    let mount = |mount: mounts::Mount| Mount {
        kind: mount.kind,
        name: mount.name,
        source: mount.source,
        destination: mount.destination,
        driver: mount.driver,
        mode: "",
        writable: mount.writable,
        propagation: if mount.kind == "volume" { String::new() } else { mount.propagation },
    };
    Ok(Container {
        id: summary.id.to_string(),
        created: time(plan.created),
        path: plan.process.argv.first().cloned().unwrap_or_default(),
        args: plan.process.argv.get(1..).unwrap_or_default().to_vec(),
        state: state(facts),
        image: plan.image.as_ref().map_or_else(String::new, |image| image.id.to_string()),
        resolv_conf_path: "",
        hostname_path: "",
        hosts_path: "",
        log_path: facts.log_path(),
        name: format!("/{}", summary.name),
        restart_count: facts.restarts(),
        driver: "overlay",
        platform: "linux",
        mount_label: "",
        process_label: "",
        app_armor_profile: "",
        exec_ids: facts.execs.iter().map(|exec| exec.id.to_string()).collect(),
        host_config: host::config(facts),
        graph_driver: GraphDriver { data: facts.graph_data(), name: "overlay" },
        size_rw: facts.size.map(|(written, _)| written),
        size_root_fs: facts.size.map(|(_, all)| all),
        mounts: mounts::list(facts.store, &plan.mounts).into_iter().map(mount).collect(),
        config: config(facts),
        network_settings: network::settings(facts, Dialect::Docker)?,
    })
}

/// A paused container, and one that is about to be restarted, count as running.
fn state(facts: &Facts<'_>) -> State {
    let status = facts.summary.status;
    State {
        status: status.as_str(),
        running: status.is_live() || status == Status::Restarting,
        paused: status == Status::Paused,
        restarting: status == Status::Restarting,
        oom_killed: facts.oom_killed(),
        dead: false,
        pid: facts.pid(),
        exit_code: facts.exit_code(),
        error: facts.error(),
        started_at: facts.started(),
        finished_at: facts.finished(),
        health: health::state(facts),
    }
}

fn config(facts: &Facts<'_>) -> Config {
    let plan = &facts.plan;
    let stop_signal = facts.stop_signal();
    Config {
        hostname: plan.hostname.clone(),
        domain_name: plan.domainname.clone().unwrap_or_default(),
        user: plan.process.user.user.clone(),
        attach_stdin: false,
        attach_stdout: false,
        attach_stderr: false,
        exposed_ports: facts.exposed(),
        tty: plan.io.tty,
        open_stdin: plan.io.stdin,
        stdin_once: false,
        env: plan.process.env.clone(),
        cmd: plan.asked.command.clone(),
        healthcheck: facts.plan.health.as_ref().map(|check| health::config(check).into()),
        args_escaped: false,
        image: plan
            .image
            .as_ref()
            .map_or_else(String::new, |image| short_image_name(&image.reference).to_owned()),
        volumes: Map::new(),
        working_dir: shown_path(Some(&plan.process.cwd)),
        entrypoint: plan.asked.entrypoint.clone(),
        network_disabled: false,
        mac_address: "",
        on_build: Vec::new(),
        labels: plan.labels.clone(),
        stop_signal: if stop_signal == Signal::TERM { String::new() } else { stop_signal.to_string() },
        stop_timeout: Some(plan.lifecycle.stop_timeout).filter(|seconds| *seconds != STOP_TIMEOUT),
        shell: Vec::new(),
    }
}
