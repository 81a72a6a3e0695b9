//! `HostConfig` in podman's document.

use crate::runtime::cgroup;
use crate::spec::{LogDriver, SeccompSpec};
use crate::text::units;
use crate::view::Dialect;
use crate::view::inspect::container::facts::{Facts, id_lines, limit, shown_path, user_mode};
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
    cgroup_manager: &'static str,
    cgroup_mode: String,
    #[serde(rename = "ContainerIDFile")]
    id_file: String,
    log_config: LogConfig,
    network_mode: String,
    port_bindings: Map<String, Value>,
    restart_policy: RestartPolicy,
    auto_remove: bool,
    auto_remove_image: bool,
    annotations: BTreeMap<String, String>,
    volume_driver: &'static str,
    volumes_from: Vec<String>,
    cap_add: Vec<String>,
    cap_drop: Vec<String>,
    dns: Vec<IpAddr>,
    dns_options: Vec<String>,
    dns_search: Vec<String>,
    extra_hosts: Vec<String>,
    hosts_file: &'static str,
    group_add: Vec<String>,
    ipc_mode: String,
    cgroup: &'static str,
    cgroups: &'static str,
    links: Vec<String>,
    oom_score_adj: i32,
    pid_mode: String,
    privileged: bool,
    publish_all_ports: bool,
    readonly_rootfs: bool,
    security_opt: Vec<String>,
    tmpfs: Map<String, Value>,
    #[serde(rename = "UTSMode")]
    uts_mode: String,
    userns_mode: String,
    #[serde(rename = "IDMappings")]
    id_mappings: Option<IdMappings>,
    shm_size: u64,
    runtime: &'static str,
    console_size: [u32; 2],
    isolation: &'static str,
    #[serde(flatten)]
    limits: Limits,
    devices: Vec<Device>,
    disk_quota: u64,
    init: bool,
    ulimits: Vec<Ulimit>,
    cgroup_conf: BTreeMap<String, String>,
    #[serde(rename = "IntelRdtClosID")]
    rdt_class: &'static str,
    /// Docker's.
    sysctls: BTreeMap<String, String>,
}

/// Where its output is logged.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogConfig {
    #[serde(rename = "Type")]
    driver: LogDriver,
    config: Map<String, Value>,
    path: String,
    tag: String,
    size: String,
}

/// Lines of id maps.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct IdMappings {
    uid_map: Vec<String>,
    gid_map: Vec<String>,
}

/// A limit of its processes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ulimit {
    name: String,
    soft: i64,
    hard: i64,
}

pub(super) fn config(facts: &Facts<'_>) -> Host {
    let plan = &facts.plan;
    let restart = plan.lifecycle.restart;
    let ulimit = |l: &crate::spec::Ulimit| Ulimit {
        name: format!("RLIMIT_{}", l.name.to_ascii_uppercase()),
        soft: limit(l.soft),
        hard: limit(l.hard),
    };
    let mut security = plan.asked.security_opt.clone();
    if plan.security.seccomp == SeccompSpec::Unconfined && security.is_empty() && !plan.security.privileged {
        security.push("seccomp=unconfined".to_owned());
    }
    let (uid_map, gid_map) = id_lines(&plan.ids);
    Host {
        binds: mounts::binds(&plan.mounts),
        cgroup_manager: cgroup::manager(),
        cgroup_mode: plan.namespaces.cgroup.to_string(),
        id_file: shown_path(plan.asked.cidfile.as_deref()),
        log_config: LogConfig {
            driver: plan.io.log.driver,
            config: Map::new(),
            path: facts.log_path(),
            tag: plan.io.log.tag.clone().unwrap_or_default(),
            size: units::decimal_size(plan.io.log.max_size.unwrap_or(0)),
        },
        network_mode: plan.network.mode.to_string(),
        port_bindings: network::bindings(plan, Dialect::Podman),
        restart_policy: RestartPolicy {
            name: if restart.is_set() { restart.name() } else { "" },
            maximum_retry_count: restart.most(),
        },
        auto_remove: plan.lifecycle.auto_remove,
        auto_remove_image: plan.lifecycle.remove_image,
        annotations: plan.annotations.clone(),
        volume_driver: "",
        volumes_from: Vec::new(),
        cap_add: plan.asked.cap_add.clone(),
        cap_drop: plan.asked.cap_drop.clone(),
        dns: plan.network.dns.servers.clone(),
        dns_options: plan.network.dns.options.clone(),
        dns_search: plan.network.dns.search.clone(),
        extra_hosts: facts.extra_hosts(),
        hosts_file: "",
        group_add: plan.process.user.groups.clone(),
        ipc_mode: plan.namespaces.ipc_mode(),
        cgroup: "",
        cgroups: "default",
        links: Vec::new(),
        oom_score_adj: plan.process.oom_score.unwrap_or(0),
        pid_mode: plan.namespaces.pid.to_string(),
        privileged: plan.security.privileged,
        publish_all_ports: plan.asked.publish_all,
        readonly_rootfs: plan.security.readonly_root,
        security_opt: security,
        tmpfs: mounts::tmpfs(&plan.mounts),
        uts_mode: plan.namespaces.uts.to_string(),
        userns_mode: user_mode(plan),
        id_mappings: plan.ids.is_shifted().then_some(IdMappings { uid_map, gid_map }),
        shm_size: plan.limits.shm_size,
        runtime: "oci",
        console_size: [0, 0],
        isolation: "",
        limits: limits::shown(&facts.limits, plan, Dialect::Podman),
        devices: plan.devices.iter().map(Device::from).collect(),
        disk_quota: 0,
        init: plan.process.init,
        ulimits: plan.limits.ulimits.iter().map(ulimit).collect(),
        cgroup_conf: facts.limits.conf.clone(),
        rdt_class: "",
        sysctls: plan.limits.sysctls.clone(),
    }
}
