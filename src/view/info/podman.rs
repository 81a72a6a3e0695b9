//! Podman's document (podman-info(1), `libpod/define/info.go` of podman 5).

use super::logs;
use crate::engine::info::{Counts, Info};
use crate::image::Platform;
use crate::runtime::cgroup;
use crate::text::{Differs, Document};
use crate::view::version::{self, Facts, OWN, Role};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Where templates see something else than JSON shows.
const DIFFERENCES: [(&str, Differs); 11] = [
    ("host.distribution.variant", Differs::Omitted),
    ("host.distribution.codename", Differs::Omitted),
    ("host.freeLocks", Differs::Unset),
    ("host.networkBackendInfo.version", Differs::Omitted),
    ("host.networkBackendInfo.package", Differs::Omitted),
    ("host.networkBackendInfo.path", Differs::Omitted),
    ("host.networkBackendInfo.dns.*", Differs::Omitted),
    ("host.remoteSocket.path", Differs::Omitted),
    ("host.runtimeInfo", Differs::Omitted),
    ("host.emulatedArchitectures", Differs::Omitted),
    ("plugins.authorization", Differs::Nil),
];

/// Who connects networks, where podman has netavark.
const NETWORKS: &str = "coracle";

#[derive(Debug, Serialize)]
struct Podman<'a> {
    host: Host<'a>,
    store: Store<'a>,
    registries: Value,
    plugins: Plugins,
    version: Facts,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Host<'a> {
    arch: String,
    buildah_version: &'static str,
    cgroup_manager: &'static str,
    cgroup_version: String,
    cgroup_controllers: &'a [String],
    conmon: Program,
    cpus: usize,
    cpu_utilization: Value,
    database_backend: &'static str,
    distribution: Distribution<'a>,
    event_logger: &'static str,
    free_locks: Option<u32>,
    hostname: &'a str,
    id_mappings: &'a Value,
    kernel: &'a str,
    log_driver: &'static str,
    mem_free: u64,
    mem_total: u64,
    network_backend: &'static str,
    network_backend_info: NetworkBackend,
    oci_runtime: Runtime,
    os: String,
    remote_socket: RemoteSocket,
    rootless_network_cmd: &'static str,
    runtime_info: Map<String, Value>,
    service_is_remote: bool,
    security: Security<'a>,
    slirp4netns: Helper<'a>,
    pasta: Helper<'a>,
    swap_free: u64,
    swap_total: u64,
    uptime: String,
    variant: String,
    linkmode: &'static str,
    emulated_architectures: Vec<String>,
}

/// What other tools use a program for and coracle does itself.
#[derive(Debug, Clone, Serialize)]
struct Program {
    package: &'static str,
    path: String,
    version: String,
}

#[derive(Debug, Serialize)]
struct Runtime {
    name: &'static str,
    #[serde(flatten)]
    program: Program,
}

#[derive(Debug, Default, Serialize)]
struct Helper<'a> {
    executable: String,
    package: &'static str,
    version: &'a str,
}

#[derive(Debug, Serialize)]
struct Distribution<'a> {
    distribution: &'a str,
    variant: &'a str,
    version: &'a str,
    codename: &'a str,
}

#[derive(Debug, Serialize)]
struct NetworkBackend {
    backend: &'static str,
    #[serde(flatten)]
    program: Program,
    dns: Program,
}

#[derive(Debug, Serialize)]
struct RemoteSocket {
    path: &'static str,
    exists: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Security<'a> {
    apparmor_enabled: bool,
    capabilities: &'a str,
    rootless: bool,
    seccomp_enabled: bool,
    seccomp_profile_path: &'static str,
    selinux_enabled: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Store<'a> {
    config_file: String,
    container_store: ContainerStore,
    graph_driver_name: &'static str,
    graph_options: Value,
    graph_root: &'a Path,
    graph_root_allocated: u64,
    graph_root_used: u64,
    graph_status: Map<String, Value>,
    image_copy_tmp_dir: String,
    image_store: ImageStore,
    run_root: &'a Path,
    volume_path: String,
    transient_store: bool,
    /// Ours: stores that are only read.
    additional_image_stores: Value,
    /// Ours: why nothing was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
struct ContainerStore {
    number: usize,
    paused: usize,
    running: usize,
    stopped: usize,
}

#[derive(Debug, Serialize)]
struct ImageStore {
    number: usize,
}

#[derive(Debug, Serialize)]
struct Plugins {
    volume: [&'static str; 1],
    network: Vec<&'static str>,
    log: [&'static str; 6],
    authorization: Vec<String>,
}

pub(super) fn document(info: &Info, role: Role) -> Document {
    let shown = Podman {
        host: host(info),
        store: store(info),
        registries: match &info.search {
            Ok(search) => json!({ "search": search }),
            Err(error) => json!({ "error": error.message() }),
        },
        plugins: Plugins {
            volume: ["local"],
            network: drivers(info),
            log: logs::DRIVERS,
            authorization: Vec::new(),
        },
        version: version::facts(role),
    };
    let all = serde_json::to_value(&shown).unwrap_or_default();
    // Names that only podman's program has.
    let version = all["host"]["cgroupVersion"].clone();
    let capabilities = all["host"]["security"]["capabilities"].clone();
    Document::new(all, &DIFFERENCES)
        .with("host.cgroupsVersion", version)
        .with("host.security.defaultCapabilities", capabilities)
}

fn host(info: &Info) -> Host<'_> {
    let platform = Platform::host();
    let machine = &info.machine;
    Host {
        arch: platform.architecture,
        buildah_version: OWN,
        cgroup_manager: cgroup::manager(),
        cgroup_version: format!("v{}", info.cgroup_version),
        cgroup_controllers: &info.cgroup_controllers,
        conmon: itself(info, "monitor"),
        cpus: machine.cpus,
        cpu_utilization: json!(machine.cpu_utilization),
        database_backend: "",
        distribution: Distribution {
            distribution: &machine.distribution.distribution,
            variant: "",
            version: &machine.distribution.version,
            codename: &machine.distribution.codename,
        },
        event_logger: "file",
        free_locks: None,
        hostname: &machine.hostname,
        id_mappings: &info.id_map,
        kernel: &info.kernel,
        log_driver: logs::USUAL,
        mem_free: machine.mem_free,
        mem_total: machine.mem_total,
        network_backend: NETWORKS,
        network_backend_info: NetworkBackend {
            backend: NETWORKS,
            program: itself(info, "networks"),
            dns: itself(info, "name server"),
        },
        oci_runtime: Runtime { name: "coracle", program: itself(info, "runtime") },
        os: platform.os,
        remote_socket: RemoteSocket { path: "", exists: false },
        rootless_network_cmd: if info.slirp.is_none() && info.pasta.is_some() {
            "pasta"
        } else {
            "slirp4netns"
        },
        runtime_info: Map::new(),
        service_is_remote: false,
        security: Security {
            apparmor_enabled: false,
            capabilities: &info.capabilities,
            rootless: machine.rootless,
            seccomp_enabled: true,
            seccomp_profile_path: "",
            selinux_enabled: false,
        },
        slirp4netns: Helper {
            executable: info.slirp.as_ref().map(|slirp| text(&slirp.path)).unwrap_or_default(),
            version: info.slirp.as_ref().map(|slirp| slirp.version.as_str()).unwrap_or_default(),
            package: "",
        },
        pasta: Helper {
            executable: info.pasta.as_ref().map(|pasta| text(&pasta.path)).unwrap_or_default(),
            version: info.pasta.as_ref().map(|pasta| pasta.version.as_str()).unwrap_or_default(),
            package: "",
        },
        swap_free: machine.swap_free,
        swap_total: machine.swap_total,
        uptime: uptime(machine.uptime),
        variant: platform.variant.unwrap_or_default(),
        linkmode: if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" },
        emulated_architectures: Vec::new(),
    }
}

/// What connects containers: networks that they share, and the programs for those that share none.
fn drivers(info: &Info) -> Vec<&'static str> {
    let slirp = info.slirp.is_some().then_some("slirp4netns");
    let pasta = info.pasta.is_some().then_some("pasta");
    std::iter::once("bridge").chain(slirp).chain(pasta).collect()
}

fn itself(info: &Info, name: &str) -> Program {
    Program { package: "", path: text(&info.program), version: format!("{name} of coracle {OWN}") }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// As podman writes it: `10h 45m 34.00s (Approximately 0.42 days)`.
fn uptime(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let days = seconds as f64 / 86_400.0;
    format!("{hours}h {minutes}m {rest}.00s (Approximately {days:.2} days)")
}

/// The store's places and counts.
fn store(info: &Info) -> Store<'_> {
    let roots = &info.roots;
    let (allocated, used) = info.disk.unwrap_or_default();
    let Counts { images, containers, running, paused } =
        info.counts.as_ref().map(|counts| *counts).unwrap_or_default();
    Store {
        config_file: text(&roots.config.join("coracle/coracle.toml")),
        container_store: ContainerStore {
            number: containers,
            paused,
            running,
            stopped: containers - running - paused,
        },
        graph_driver_name: "overlay",
        graph_options: json!({ "overlay.driver": roots.overlay }),
        graph_root: &roots.data,
        graph_root_allocated: allocated,
        graph_root_used: used,
        graph_status: Map::new(),
        image_copy_tmp_dir: text(&roots.data.join("tmp")),
        image_store: ImageStore { number: images },
        run_root: &roots.runtime,
        volume_path: text(&roots.data.join("volumes")),
        transient_store: false,
        additional_image_stores: json!(roots.image_stores),
        error: info.counts.as_ref().err().map(crate::error::Error::message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_podman_tells_them() {
        assert_eq!(uptime(38_734), "10h 45m 34.00s (Approximately 0.45 days)");
        assert_eq!(uptime(0), "0h 0m 0.00s (Approximately 0.00 days)");
    }
}
