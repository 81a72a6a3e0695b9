//! A pod in podman's format (podman-pod-ps(1), podman-pod-inspect(1)). Docker has none.

use super::inspect::{InfraParts, infra_parts};
use super::{Dialect, stats};
use crate::engine::pods::ListedPod;
use crate::spec::network::HostEntry;
use crate::spec::{ContainerSpec, NetworkMode, Share};
use crate::storage::Store;
use crate::storage::containers::Summary;
use crate::text::{Differs, Document, time};
use chrono::SecondsFormat;
use serde_json::{Value, json};

/// A pod of a listing, and how it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The pod.
    pub of: &'a ListedPod,
    /// Ids are not shortened.
    pub whole: bool,
    /// How often the restart policies of its containers have restarted them.
    pub restarts: u32,
}

impl Row<'_> {
    fn short<'b>(&self, id: &'b str) -> &'b str {
        if self.whole { id } else { id.get(..12).unwrap_or(id) }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.short(self.of.spec.id.as_str())
    }

    fn joined(&self, of: impl Fn(&Summary) -> String) -> String {
        self.of.containers.iter().map(of).collect::<Vec<_>>().join(",")
    }

    /// What a template may name.
    pub fn fields(&self) -> Document {
        let spec = &self.of.spec;
        let infra = spec.infra_id().map_or("", |id| self.short(id.as_str()));
        let fields = json!({
            "Id": self.id(),
            "ID": self.id(),
            "Name": spec.name,
            "Status": self.of.state.as_str(),
            "Created": time::ago(spec.created),
            "InfraID": infra,
            "InfraId": infra,
            "NumberOfContainers": self.of.containers.len(),
            "ContainerIds": self.joined(|one| self.short(one.id.as_str()).to_owned()),
            "ContainerNames": self.joined(|one| one.name.clone()),
            "ContainerStatuses": self.joined(|one| one.status.as_str().to_owned()),
            "Containers": self.containers(),
            "Cgroup": spec.cgroup_parent.clone().unwrap_or_default(),
            "Namespace": "",
            "Networks": spec.networks().join(","),
            "Labels": spec.labels,
            "Restarts": self.restarts.to_string(),
        });
        Document::of_one_form(fields)
    }

    fn containers(&self) -> Value {
        let one = |one: &Summary| json!({ "Id": one.id, "Names": one.name, "Status": one.status.as_str() });
        self.of.containers.iter().map(one).collect()
    }

    /// The row in podman's `--format json`.
    pub fn json(&self) -> Value {
        let spec = &self.of.spec;
        json!({
            "Cgroup": spec.cgroup_parent.clone().unwrap_or_default(),
            "Containers": self.containers(),
            "Created": spec.created.to_rfc3339_opts(SecondsFormat::Nanos, true),
            "Id": spec.id,
            "InfraId": spec.infra_id().map_or("", |id| id.as_str()),
            "Name": spec.name,
            "Namespace": "",
            "Networks": spec.networks(),
            "Status": self.of.state.as_str(),
            "Labels": spec.labels,
        })
    }
}

/// Where templates see something else than JSON shows.
const DIFFERENCES: [(&str, Differs); 14] = [
    ("Created", Differs::Time),
    ("CreateCommand", Differs::Omitted),
    ("Labels", Differs::Omitted),
    ("CgroupParent", Differs::Omitted),
    ("CgroupPath", Differs::Omitted),
    ("InfraContainerID", Differs::Omitted),
    ("InfraConfig", Differs::Unset),
    ("SharedNamespaces", Differs::Omitted),
    ("Containers", Differs::Omitted),
    ("mounts", Differs::Omitted),
    ("devices", Differs::Omitted),
    ("security_opt", Differs::Omitted),
    ("RestartPolicy", Differs::Omitted),
    ("memory_limit", Differs::Omitted),
];

/// Everything that is known about a pod.
pub fn document(store: &Store, pod: &ListedPod) -> Document {
    let ListedPod { spec, containers, state } = pod;
    let infra = spec.infra.as_deref();
    let parts = infra.map(|infra| infra_parts(store, infra));
    let mut shared: Vec<&str> = spec.shared.iter().map(|namespace| namespace.as_str()).collect();
    shared.sort_unstable();
    let containers: Vec<Value> = containers
        .iter()
        .map(|one| json!({ "Id": one.id, "Name": one.name, "State": one.status.as_str() }))
        .collect();
    let devices = infra.map(|infra| {
        let one = |device: &crate::spec::DeviceSpec| {
            json!({
                "PathOnHost": device.host,
                "PathInContainer": device.inside,
                "CgroupPermissions": device.permissions,
            })
        };
        infra.devices.iter().map(one).collect::<Vec<_>>()
    });
    let all = json!({
        "Id": spec.id,
        "Name": spec.name,
        "Created": spec.created.to_rfc3339_opts(SecondsFormat::Nanos, true),
        "CreateCommand": spec.create_command,
        "ExitPolicy": spec.exit_policy.as_str(),
        "State": state.as_str(),
        "Hostname": spec.hostname.clone().unwrap_or_default(),
        "Labels": spec.labels,
        "CreateCgroup": false,
        "CgroupParent": spec.cgroup_parent.clone().unwrap_or_default(),
        "CgroupPath": "",
        "CreateInfra": infra.is_some(),
        "InfraContainerID": spec.infra_id().map_or("", |id| id.as_str()),
        "InfraConfig": infra.zip(parts.as_ref()).map(|(infra, parts)| infra_config(infra, parts)),
        "SharedNamespaces": shared,
        "NumContainers": containers.len(),
        "Containers": containers,
        "mounts": parts.map(|parts| parts.mounts).unwrap_or_default(),
        "devices": devices.unwrap_or_default(),
        "security_opt": infra.map(|infra| infra.asked.security_opt.clone()).unwrap_or_default(),
        "memory_limit": spec.resources.memory.unwrap_or_default(),
        "RestartPolicy": if spec.restart.is_set() { spec.restart.to_string() } else { String::new() },
        "LockNumber": 0,
    });
    Document::new(all, &DIFFERENCES)
}

/// How the namespaces of a pod were set up.
fn infra_config(infra: &ContainerSpec, parts: &InfraParts) -> Value {
    let (mut ip, mut mac) = (String::new(), String::new());
    let mut networks: Vec<&str> = Vec::new();
    if let NetworkMode::Bridge(all) = &infra.network.mode {
        networks = all.iter().map(|one| one.network.as_str()).collect();
        if let [only] = all.as_slice() {
            ip = only.ip.map(|ip| ip.to_string()).unwrap_or_default();
            mac = only.mac.map(|mac| mac.to_string()).unwrap_or_default();
        }
    }
    let dns = &infra.network.dns;
    let or_null = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    let servers: Vec<String> = dns.servers.iter().map(ToString::to_string).collect();
    let hosts: Vec<String> = infra.network.hosts.iter().map(host_entry).collect();
    let space = |share: &Share| share.to_string();
    json!({
        "PortBindings": parts.bindings,
        "HostNetwork": infra.network.mode == NetworkMode::Host,
        "StaticIP": ip,
        "StaticMAC": mac,
        "NoManageResolvConf": dns.keep_image,
        "DNSServer": or_null(&servers),
        "DNSSearch": or_null(&dns.search),
        "DNSOption": or_null(&dns.options),
        "NoManageHostname": false,
        "NoManageHosts": !infra.files.hosts,
        "HostAdd": or_null(&hosts),
        "HostsFile": "",
        "Networks": if networks.is_empty() { Value::Null } else { json!(networks) },
        "NetworkOptions": null,
        "pid_ns": space(&infra.namespaces.pid),
        "userns": if infra.ids.is_shifted() { "keep-id".to_owned() } else { "host".to_owned() },
        "uts_ns": space(&infra.namespaces.uts),
    })
}

fn host_entry(entry: &HostEntry) -> String {
    let address = entry.address.map_or_else(|| "host-gateway".to_owned(), |ip| ip.to_string());
    format!("{}:{address}", entry.name)
}

/// What one of its containers uses, by the names that `pod stats` has for it.
pub fn stats_fields(pod: &str, row: &stats::Row<'_>) -> Value {
    let all = row.fields(Dialect::Podman);
    let of = |field: &str| all[field].clone();
    json!({
        "Pod": pod,
        "CID": of("ID"),
        "Name": of("Name"),
        "CPU": of("CPUPerc"),
        "MemUsage": of("MemUsage"),
        "MemUsageBytes": of("MemUsageBytes"),
        "Mem": of("MemPerc"),
        "NetIO": of("NetIO"),
        "BlockIO": of("BlockIO"),
        "PIDS": of("PIDS"),
    })
}
