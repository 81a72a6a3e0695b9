//! Information about the machine and the store, as `info` shows it.

use super::Dialect;
use super::version;
use crate::engine::info::{Counts, Info};
use crate::image::Platform;
use serde_json::{Value, json};

/// The document; docker's dialect adds the fields that scripts for docker use to podman's.
pub fn document(info: &Info, dialect: Dialect) -> Value {
    let search = match &info.search {
        Ok(search) => json!({ "search": search }),
        Err(error) => json!({ "error": error.message() }),
    };
    let mut document = json!({
        "host": host(info),
        "store": store(info),
        "registries": search,
        "plugins": {
            "volume": ["local"],
            "network": ["slirp4netns"],
            "log": ["k8s-file", "json-file", "journald", "none", "passthrough", "passthrough-tty"],
            "authorization": null,
        },
        "version": version::facts(),
    });
    if dialect == Dialect::Docker {
        add_docker_facts(&mut document);
    }
    document
}

/// The fields that scripts for docker use, in addition to podman's.
fn add_docker_facts(info: &mut Value) {
    let (host, store) = (info["host"].clone(), info["store"].clone());
    let containers = &store["containerStore"];
    let facts = json!({
        "Architecture": host["arch"],
        "CgroupVersion": host["cgroupVersion"].as_str().unwrap_or_default().trim_start_matches('v'),
        "Containers": containers["number"],
        "ContainersPaused": containers["paused"],
        "ContainersRunning": containers["running"],
        "ContainersStopped": containers["stopped"],
        "DockerRootDir": store["graphRoot"],
        "Driver": store["graphDriverName"],
        "Images": store["imageStore"]["number"],
        "KernelVersion": host["kernel"],
        "LoggingDriver": "k8s-file",
        "MemTotal": host["memTotal"],
        "NCPU": host["cpus"],
        "Name": host["hostname"],
        "OSType": host["os"],
        "OperatingSystem": host["distribution"]["distribution"],
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
        "ServerVersion": env!("CARGO_PKG_VERSION"),
    });
    if let (Value::Object(all), Value::Object(more)) = (info, facts) {
        all.extend(more);
    }
}

fn host(info: &Info) -> Value {
    let platform = Platform::host();
    let mut host = json!({
        "arch": platform.architecture,
        "os": platform.os,
        "kernel": info.kernel,
        "cgroupVersion": format!("v{}", info.cgroup_version),
        "cgroupControllers": info.cgroup_controllers,
        "slirp4netns": { "executable": info.slirp },
        "conmon": itself(info, "monitor"),
        "ociRuntime": itself(info, "runtime"),
        "eventLogger": "file",
        "logDriver": "k8s-file",
        "networkBackend": "slirp4netns",
        "remoteSocket": { "path": "", "exists": false },
        "serviceIsRemote": false,
        "linkmode": if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" },
    });
    if let (Value::Object(all), Value::Object(machine)) = (&mut host, json!(info.machine)) {
        all.extend(machine);
    }
    host["security"] = json!({
        "rootless": host["rootless"],
        "seccompEnabled": true,
        "seccompProfilePath": "",
        "apparmorEnabled": false,
        "selinuxEnabled": false,
        "capabilities": info.capabilities,
    });
    host["idMappings"] = info.id_map.clone();
    host
}

/// What other tools use programs for and coracle does itself.
fn itself(info: &Info, name: &str) -> Value {
    json!({
        "name": "coracle",
        "package": "",
        "path": info.program,
        "version": format!("{name} of coracle {}", env!("CARGO_PKG_VERSION")),
    })
}

/// The store's places and counts.
fn store(info: &Info) -> Value {
    let roots = &info.roots;
    let mut store = json!({
        "graphRoot": roots.data,
        "runRoot": roots.runtime,
        "volumePath": roots.data.join("volumes"),
        "configFile": roots.config.join("coracle/coracle.toml"),
        "additionalImageStores": roots.image_stores,
        "graphDriverName": "overlay",
        "graphOptions": { "overlay.driver": roots.overlay },
        "graphStatus": {},
        "imageCopyTmpDir": roots.data.join("tmp"),
    });
    if let Some((all, used)) = info.disk {
        store["graphRootAllocated"] = json!(all);
        store["graphRootUsed"] = json!(used);
    }
    match &info.counts {
        Ok(Counts { images, containers, running, paused }) => {
            store["imageStore"] = json!({ "number": images });
            store["containerStore"] = json!({
                "number": containers,
                "running": running,
                "paused": paused,
                "stopped": containers - running - paused,
            });
        }
        Err(error) => store["error"] = json!(error.message()),
    }
    store
}
