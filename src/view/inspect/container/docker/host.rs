//! `HostConfig` in docker's document.

use crate::spec::{LogDriver, Share};
use crate::view::Dialect;
use crate::view::inspect::container::facts::{Facts, limit, shown_path, shown_paths, user_mode};
use crate::view::inspect::container::host::{Device, RestartPolicy};
use crate::view::inspect::container::{mounts, network};
use crate::view::inspect::limits::{self, Limits};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How it runs on this host.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Host {
    binds: Vec<String>,
    #[serde(rename = "ContainerIDFile")]
    id_file: String,
    log_config: LogConfig,
    network_mode: String,
    port_bindings: Map<String, Value>,
    restart_policy: RestartPolicy,
    auto_remove: bool,
    volume_driver: &'static str,
    volumes_from: Vec<String>,
    console_size: [u32; 2],
    annotations: BTreeMap<String, String>,
    cap_add: Vec<String>,
    cap_drop: Vec<String>,
    cgroupns_mode: String,
    dns: Vec<IpAddr>,
    dns_options: Vec<String>,
    dns_search: Vec<String>,
    extra_hosts: Vec<String>,
    group_add: Vec<String>,
    ipc_mode: String,
    cgroup: &'static str,
    links: Vec<String>,
    oom_score_adj: i32,
    pid_mode: String,
    privileged: bool,
    publish_all_ports: bool,
    readonly_rootfs: bool,
    security_opt: Vec<String>,
    storage_opt: Map<String, Value>,
    tmpfs: Map<String, Value>,
    #[serde(rename = "UTSMode")]
    uts_mode: String,
    userns_mode: String,
    shm_size: u64,
    sysctls: BTreeMap<String, String>,
    runtime: &'static str,
    isolation: &'static str,
    #[serde(flatten)]
    limits: Limits,
    devices: Vec<Device>,
    device_cgroup_rules: Vec<String>,
    device_requests: Vec<Value>,
    #[serde(rename = "KernelMemoryTCP")]
    kernel_memory_tcp: u64,
    ulimits: Vec<Ulimit>,
    mounts: Vec<Value>,
    masked_paths: Vec<String>,
    readonly_paths: Vec<String>,
    init: Option<bool>,
}

/// Where its output is logged.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogConfig {
    #[serde(rename = "Type")]
    driver: LogDriver,
    config: Map<String, Value>,
}

/// A limit of its processes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ulimit {
    name: String,
    hard: i64,
    soft: i64,
}

/// A namespace of its own has no name.
fn mode(share: &Share) -> String {
    if *share == Share::Private { String::new() } else { share.to_string() }
}

pub(super) fn config(facts: &Facts<'_>) -> Host {
    let plan = &facts.plan;
    let restart = plan.lifecycle.restart;
    let ulimit =
        |l: &crate::spec::Ulimit| Ulimit { name: l.name.clone(), hard: limit(l.hard), soft: limit(l.soft) };
    let log = &plan.io.log;
    let tag = log.tag.iter().map(|tag| ("tag".to_owned(), Value::from(tag.as_str())));
    let size = log.max_size.iter().map(|size| ("max-size".to_owned(), Value::from(size.to_string())));
    Host {
        binds: mounts::docker_binds(&plan.mounts),
        id_file: shown_path(plan.asked.cidfile.as_deref()),
        log_config: LogConfig { driver: log.driver, config: tag.chain(size).collect() },
        network_mode: network::network_name(&plan.network.mode, Dialect::Docker)
            .map_or_else(|| plan.network.mode.to_string(), str::to_owned),
        port_bindings: network::bindings(plan, Dialect::Docker),
        restart_policy: RestartPolicy { name: restart.name(), maximum_retry_count: restart.most() },
        auto_remove: plan.lifecycle.auto_remove,
        volume_driver: "",
        volumes_from: Vec::new(),
        console_size: [0, 0],
        annotations: plan.annotations.clone(),
        cap_add: plan.asked.cap_add.clone(),
        cap_drop: plan.asked.cap_drop.clone(),
        cgroupns_mode: plan.namespaces.cgroup.to_string(),
        dns: plan.network.dns.servers.clone(),
        dns_options: plan.network.dns.options.clone(),
        dns_search: plan.network.dns.search.clone(),
        extra_hosts: facts.extra_hosts(),
        group_add: plan.process.user.groups.clone(),
        ipc_mode: plan.namespaces.ipc_mode(),
        cgroup: "",
        links: Vec::new(),
        oom_score_adj: plan.process.oom_score.unwrap_or(0),
        pid_mode: mode(&plan.namespaces.pid),
        privileged: plan.security.privileged,
        publish_all_ports: plan.asked.publish_all,
        readonly_rootfs: plan.security.readonly_root,
        security_opt: plan.asked.security_opt.clone(),
        storage_opt: Map::new(),
        tmpfs: mounts::tmpfs(&plan.mounts),
        uts_mode: mode(&plan.namespaces.uts),
        userns_mode: user_mode(plan),
        shm_size: plan.limits.shm_size,
        sysctls: plan.limits.sysctls.clone(),
        runtime: "runc",
        isolation: "",
        limits: limits::shown(&facts.limits, plan, Dialect::Docker),
        devices: plan.devices.iter().map(Device::from).collect(),
        device_cgroup_rules: Vec::new(),
        device_requests: Vec::new(),
        kernel_memory_tcp: 0,
        ulimits: plan.limits.ulimits.iter().map(ulimit).collect(),
        mounts: Vec::new(),
        masked_paths: shown_paths(&plan.security.masked_paths),
        readonly_paths: shown_paths(&plan.security.readonly_paths),
        init: plan.process.init.then_some(true),
    }
}
