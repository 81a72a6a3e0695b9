//! Docker's document (`docker info`, Engine API 1.47).

use super::logs;
use crate::engine::info::{Counts, Info};
use crate::runtime::cgroup;
use crate::text::{Differs, Document};
use crate::view::version::{self, Client, OWN, Role};
use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Where templates see something else than JSON shows.
const DIFFERENCES: [(&str, Differs); 18] = [
    ("KernelMemoryTCP", Differs::Omitted),
    ("ProductLicense", Differs::Omitted),
    ("DefaultAddressPools", Differs::Omitted),
    ("ServerErrors", Differs::Omitted),
    ("ClientErrors", Differs::Omitted),
    ("ClientInfo.Platform", Differs::Omitted),
    ("ClientInfo.GoVersion", Differs::Omitted),
    ("ClientInfo.BuildTime", Differs::Omitted),
    ("SystemStatus", Differs::Omitted),
    ("KernelMemory", Differs::Omitted),
    ("Plugins.Authorization", Differs::Nil),
    ("RegistryConfig.AllowNondistributableArtifactsCIDRs", Differs::Nil),
    ("RegistryConfig.AllowNondistributableArtifactsHostnames", Differs::Nil),
    ("RegistryConfig.Mirrors", Differs::Nil),
    ("GenericResources", Differs::Nil),
    ("Swarm.RemoteManagers", Differs::Nil),
    ("Warnings", Differs::Nil),
    ("ClientInfo.Warnings", Differs::Nil),
];

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Docker<'a> {
    #[serde(rename = "ID")]
    id: String,
    containers: usize,
    containers_running: usize,
    containers_paused: usize,
    containers_stopped: usize,
    images: usize,
    driver: &'static str,
    driver_status: Vec<[&'static str; 2]>,
    system_status: Vec<[String; 2]>,
    plugins: Plugins,
    memory_limit: bool,
    swap_limit: bool,
    kernel_memory: bool,
    #[serde(rename = "KernelMemoryTCP")]
    kernel_memory_tcp: bool,
    cpu_cfs_period: bool,
    cpu_cfs_quota: bool,
    #[serde(rename = "CPUShares")]
    cpu_shares: bool,
    #[serde(rename = "CPUSet")]
    cpu_set: bool,
    pids_limit: bool,
    #[serde(rename = "IPv4Forwarding")]
    ipv4_forwarding: bool,
    bridge_nf_iptables: bool,
    #[serde(rename = "BridgeNfIp6tables")]
    bridge_nf_ip6tables: bool,
    debug: bool,
    n_fd: u32,
    oom_kill_disable: bool,
    n_goroutines: u32,
    system_time: String,
    logging_driver: &'static str,
    cgroup_driver: &'static str,
    cgroup_version: String,
    n_events_listener: u32,
    kernel_version: &'a str,
    operating_system: &'a str,
    #[serde(rename = "OSVersion")]
    os_version: &'a str,
    #[serde(rename = "OSType")]
    os_type: &'static str,
    architecture: &'static str,
    index_server_address: &'static str,
    registry_config: RegistryConfig<'a>,
    #[serde(rename = "NCPU")]
    cpus: usize,
    mem_total: u64,
    generic_resources: Vec<Value>,
    docker_root_dir: &'a Path,
    http_proxy: &'static str,
    https_proxy: &'static str,
    no_proxy: &'static str,
    name: &'a str,
    labels: Vec<String>,
    experimental_build: bool,
    server_version: &'static str,
    runtimes: BTreeMap<&'static str, Runtime<'a>>,
    default_runtime: &'static str,
    swarm: Swarm,
    live_restore_enabled: bool,
    isolation: &'static str,
    init_binary: &'static str,
    containerd_commit: Commit,
    runc_commit: Commit,
    init_commit: Commit,
    security_options: Vec<&'static str>,
    product_license: &'static str,
    default_address_pools: Vec<Value>,
    #[serde(rename = "CDISpecDirs")]
    cdi_directories: [&'static str; 2],
    warnings: Vec<String>,
    server_errors: Vec<String>,
    client_info: ClientInfo,
    client_errors: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Plugins {
    volume: [&'static str; 1],
    network: [&'static str; 3],
    authorization: Vec<String>,
    log: [&'static str; 6],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RegistryConfig<'a> {
    #[serde(rename = "AllowNondistributableArtifactsCIDRs")]
    nondistributable_networks: Vec<String>,
    #[serde(rename = "AllowNondistributableArtifactsHostnames")]
    nondistributable_hosts: Vec<String>,
    #[serde(rename = "InsecureRegistryCIDRs")]
    insecure_networks: Vec<String>,
    index_configs: BTreeMap<&'static str, Index<'a>>,
    mirrors: &'a [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Index<'a> {
    name: &'static str,
    mirrors: &'a [String],
    secure: bool,
    official: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Runtime<'a> {
    path: &'a Path,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Swarm {
    #[serde(rename = "NodeID")]
    node: &'static str,
    node_addr: &'static str,
    local_node_state: &'static str,
    control_available: bool,
    error: &'static str,
    remote_managers: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Commit {
    #[serde(rename = "ID")]
    id: &'static str,
    #[serde(rename = "Expected")]
    expected: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientInfo {
    debug: bool,
    #[serde(flatten)]
    client: Client,
    plugins: Vec<Value>,
    warnings: Vec<String>,
}

pub(super) fn document(info: &Info) -> Document {
    Document::new(serde_json::to_value(docker(info)).unwrap_or_default(), &DIFFERENCES)
}

fn docker(info: &Info) -> Docker<'_> {
    let Counts { images, containers, running, paused } =
        info.counts.as_ref().map(|counts| *counts).unwrap_or_default();
    let machine = &info.machine;
    let can = |controller: &str| info.cgroup_controllers.iter().any(|known| known == controller);
    let runtime = Runtime { path: &info.program };
    let own = || Commit { id: OWN, expected: OWN };
    let index = Index { name: "docker.io", mirrors: &info.mirrors, secure: true, official: true };
    Docker {
        id: id(&info.machine_id, &info.roots.data),
        containers,
        containers_running: running,
        containers_paused: paused,
        containers_stopped: containers - running - paused,
        images,
        driver: "overlay",
        driver_status: vec![["Supports d_type", "true"], ["userxattr", "true"]],
        system_status: Vec::new(),
        plugins: Plugins {
            volume: ["local"],
            network: ["bridge", "host", "null"],
            authorization: Vec::new(),
            log: logs::DRIVERS,
        },
        memory_limit: can("memory"),
        swap_limit: can("memory"),
        kernel_memory: false,
        kernel_memory_tcp: false,
        cpu_cfs_period: can("cpu"),
        cpu_cfs_quota: can("cpu"),
        cpu_shares: can("cpu"),
        cpu_set: can("cpuset"),
        pids_limit: can("pids"),
        ipv4_forwarding: true,
        bridge_nf_iptables: false,
        bridge_nf_ip6tables: false,
        debug: false,
        n_fd: 0,
        oom_kill_disable: false,
        n_goroutines: 0,
        system_time: Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true),
        logging_driver: logs::USUAL,
        cgroup_driver: cgroup::manager(),
        cgroup_version: info.cgroup_version.to_string(),
        n_events_listener: 0,
        kernel_version: &info.kernel,
        operating_system: &machine.distribution.pretty,
        os_version: &machine.distribution.version,
        os_type: "linux",
        architecture: std::env::consts::ARCH,
        index_server_address: "https://index.docker.io/v1/",
        registry_config: RegistryConfig {
            nondistributable_networks: Vec::new(),
            nondistributable_hosts: Vec::new(),
            insecure_networks: Vec::new(),
            index_configs: BTreeMap::from([(index.name, index)]),
            mirrors: &info.mirrors,
        },
        cpus: machine.cpus,
        mem_total: machine.mem_total,
        generic_resources: Vec::new(),
        docker_root_dir: &info.roots.data,
        http_proxy: "",
        https_proxy: "",
        no_proxy: "",
        name: &machine.hostname,
        labels: Vec::new(),
        experimental_build: false,
        server_version: Role::Docker.version(),
        runtimes: BTreeMap::from([("io.containerd.runc.v2", runtime.clone()), ("runc", runtime)]),
        default_runtime: "runc",
        swarm: Swarm {
            node: "",
            node_addr: "",
            local_node_state: "inactive",
            control_available: false,
            error: "",
            remote_managers: Vec::new(),
        },
        live_restore_enabled: true,
        isolation: "",
        init_binary: "coracle",
        containerd_commit: own(),
        runc_commit: own(),
        init_commit: own(),
        security_options: match machine.rootless {
            true => vec!["name=seccomp,profile=builtin", "name=rootless"],
            false => vec!["name=seccomp,profile=builtin"],
        },
        product_license: "",
        default_address_pools: Vec::new(),
        cdi_directories: ["/etc/cdi", "/var/run/cdi"],
        warnings: Vec::new(),
        server_errors: Vec::new(),
        client_info: ClientInfo {
            debug: false,
            client: version::client(),
            plugins: Vec::new(),
            warnings: Vec::new(),
        },
        client_errors: Vec::new(),
    }
}

/// An id that stays the same for this account's store on this machine, and tells nothing about either.
fn id(machine: &str, root: &Path) -> String {
    let hash = Sha256::digest(format!("coracle {machine} {}", root.display()));
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    parts.iter().filter_map(|(from, to)| hex.get(*from..*to)).collect::<Vec<_>>().join("-")
}
