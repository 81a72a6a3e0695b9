//! A container's network as `inspect` shows it.

use crate::error::Result;
use crate::spec::{ContainerSpec, NetworkMode};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, PortRecord, Summary};
use serde_json::{Map, Value, json};

/// `NetworkSettings`. Like podman's for user-mode networking they name no address: the one inside is the
/// same for every container and is not reached from outside; what is reached are the published ports.
pub(super) fn settings(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    summary: &Summary,
) -> Result<Value> {
    // A container that shares another's network is reached at the other's ports.
    let published = match &plan.network.mode {
        NetworkMode::Container(id) => {
            store.containers().find(id).map(|other| other.summary().ports).unwrap_or_default()
        }
        _ => summary.ports.clone(),
    };
    let live = dir.run_record()?.filter(|_| summary.status.is_live());
    let namespace = live.map_or(String::new(), |run| format!("/proc/{}/ns/net", run.init.pid));
    Ok(json!({
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": "",
        "Bridge": "",
        "SandboxID": "",
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": ports(plan, &published),
        "SandboxKey": if plan.network.mode == NetworkMode::Host { String::new() } else { namespace },
        // Networks have names only where they are made by the user.
        "Networks": {},
    }))
}

/// `HostConfig.PortBindings`: what was asked for.
pub(super) fn bindings(plan: &ContainerSpec) -> Value {
    let asked: Vec<PortRecord> = plan.network.ports.iter().map(PortRecord::from).collect();
    let mut bindings = ports(plan, &asked);
    if let Value::Object(map) = &mut bindings {
        map.retain(|_, list| !list.is_null());
    }
    bindings
}

/// Ports by `port/protocol`, each with the host addresses it is published at; those that are only
/// exposed have none.
fn ports(plan: &ContainerSpec, published: &[PortRecord]) -> Value {
    let mut ports: Map<String, Value> = Map::new();
    for exposed in &plan.asked.exposed_ports {
        ports.insert(exposed.clone(), Value::Null);
    }
    for port in published {
        let entry = json!({
            "HostIp": port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            "HostPort": port.host_port.to_string(),
        });
        match ports.entry(format!("{}/{}", port.container_port, port.protocol)).or_insert(Value::Null) {
            Value::Array(list) => list.push(entry),
            none => *none = Value::Array(vec![entry]),
        }
    }
    Value::Object(ports)
}
