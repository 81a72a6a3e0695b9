//! A container's network as `inspect` shows it.

use super::facts::Facts;
use crate::container::ContainerId;
use crate::error::Result;
use crate::runtime::link::{self, Link};
use crate::spec::bridge::{BUILT_IN, DOCKERS_BUILT_IN};
use crate::spec::{Attached, Attachment, ContainerSpec, NetworkMode};
use crate::storage::containers::PortRecord;
use crate::text::Differs;
use crate::view::Dialect;
use crate::view::network;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Where templates see something else than JSON of either dialect shows, below `NetworkSettings`.
pub(super) const DIFFERENCES: [(&str, Differs); 6] = [
    ("Networks.*.SecondaryIPAddresses", Differs::Omitted),
    ("Networks.*.SecondaryIPv6Addresses", Differs::Omitted),
    ("Ports.*", Differs::Nil),
    ("Networks.*.DriverOpts", Differs::Nil),
    ("Networks.*.IPAMConfig", Differs::Nil),
    ("Networks.*.Links", Differs::Nil),
];

/// `NetworkSettings`: podman's fields, which are docker's too.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Settings {
    #[serde(flatten)]
    addresses: Addresses,
    bridge: &'static str,
    #[serde(rename = "SandboxID")]
    sandbox_id: &'static str,
    hairpin_mode: bool,
    #[serde(rename = "LinkLocalIPv6Address")]
    link_local_ipv6_address: &'static str,
    #[serde(rename = "LinkLocalIPv6PrefixLen")]
    link_local_ipv6_prefix_len: u8,
    ports: Map<String, Value>,
    sandbox_key: String,
    networks: Map<String, Value>,
}

/// The addresses in one network; empty where it has none, or does not run.
#[derive(Debug, Clone, Default, Serialize)]
struct Addresses {
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    #[serde(rename = "Gateway")]
    gateway: String,
    #[serde(rename = "IPAddress")]
    address: String,
    #[serde(rename = "IPPrefixLen")]
    prefix: u8,
    #[serde(rename = "SecondaryIPAddresses")]
    more: Vec<String>,
    #[serde(rename = "IPv6Gateway")]
    gateway6: String,
    #[serde(rename = "GlobalIPv6Address")]
    address6: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    prefix6: u8,
    #[serde(rename = "SecondaryIPv6Addresses")]
    more6: Vec<String>,
    #[serde(rename = "MacAddress")]
    mac: String,
}

/// A network that the container is in.
#[derive(Debug, Serialize)]
struct Endpoint {
    #[serde(flatten)]
    addresses: Addresses,
    #[serde(rename = "AdditionalMACAddresses", skip_serializing_if = "Option::is_none")]
    more_macs: Option<Vec<String>>,
    #[serde(rename = "NetworkID")]
    network: String,
    #[serde(rename = "DriverOpts")]
    driver_opts: Map<String, Value>,
    #[serde(rename = "IPAMConfig")]
    ipam: Map<String, Value>,
    #[serde(rename = "Links")]
    links: Vec<String>,
    #[serde(rename = "Aliases")]
    aliases: Vec<String>,
    #[serde(rename = "DNSNames", skip_serializing_if = "Option::is_none")]
    dns_names: Option<Vec<String>>,
}

/// `NetworkSettings`. The addresses are those inside; slirp4netns gives every container the same, which are not
/// reached from outside: what is reached are the published ports.
pub(super) fn settings(facts: &Facts<'_>, dialect: Dialect) -> Result<Settings> {
    let docker = dialect == Dialect::Docker;
    let plan = &facts.plan;
    // A container that shares another's network has its addresses, and is reached at its ports.
    let shared = match &plan.network.mode {
        NetworkMode::Container(id) => facts.store.containers().find(id).ok(),
        _ => None,
    };
    let published =
        shared.as_ref().map_or_else(|| facts.summary.ports.clone(), |other| other.summary().ports);
    let owner = shared.as_ref().and_then(|other| other.spec().ok());
    let mode = owner.as_ref().map_or(&plan.network.mode, |owner| &owner.network.mode);
    let attached: Vec<Attached> = match &shared {
        Some(other) => other.run_record().ok().flatten().filter(|_| other.status().is_live()),
        None => facts.live().cloned(),
    }
    .map_or_else(Vec::new, |run| run.networks);
    let link = facts.live().and_then(|run| link::of(run.init.pid)).unwrap_or_default();
    let addresses = match mode {
        NetworkMode::Slirp(options) if facts.live().is_some() => Addresses {
            gateway: options.gateway().to_string(),
            address: options.address().to_string(),
            prefix: options.cidr.prefix(),
            ..global(&link, options.ipv6.then(|| options.gateway6().to_string()))
        },
        NetworkMode::Bridge(_) => attached.first().map(|one| of(one, &facts.plan.id)).unwrap_or_default(),
        _ => Addresses::default(),
    };
    let mut networks = Map::new();
    // Docker lists no networks of a container that has another's.
    if let NetworkMode::Bridge(wanted) = mode {
        for wanted in wanted.iter().filter(|_| !docker || shared.is_none()) {
            let here = attached.iter().find(|one| one.network == wanted.network);
            let name = network::name(&wanted.network, dialect);
            networks.insert(name.to_owned(), json!(endpoint(wanted, here, &plan.id, dialect)));
        }
    } else if let Some(name) = network_name(mode, dialect).filter(|_| !docker || shared.is_none()) {
        let endpoint = Endpoint {
            addresses: addresses.clone(),
            more_macs: (!docker).then(Vec::new),
            network: if docker { built_in_id(name) } else { name.to_owned() },
            driver_opts: Map::new(),
            ipam: Map::new(),
            links: Vec::new(),
            aliases: Vec::new(),
            dns_names: docker.then(Vec::new),
        };
        networks.insert(name.to_owned(), json!(endpoint));
    }
    let namespace = facts.live().map_or(String::new(), |run| format!("/proc/{}/ns/net", run.init.pid));
    Ok(Settings {
        addresses,
        bridge: "",
        sandbox_id: "",
        hairpin_mode: false,
        link_local_ipv6_address: "",
        link_local_ipv6_prefix_len: 0,
        ports: ports(plan, &published, if docker { &["0.0.0.0", "::"] } else { &["0.0.0.0"] }),
        sandbox_key: if plan.network.mode == NetworkMode::Host { String::new() } else { namespace },
        networks,
    })
}

/// What a container has on a network.
fn of(attached: &Attached, container: &ContainerId) -> Addresses {
    let mut addresses = Addresses {
        endpoint_id: network::endpoint(&attached.id, container.as_str()),
        mac: attached.mac.to_string(),
        ..Addresses::default()
    };
    if let Some((ip, has)) = attached.ip() {
        addresses.address = ip.to_string();
        addresses.prefix = has.prefix;
        addresses.gateway = has.gateway.to_string();
    }
    if let Some((ip, has)) = attached.ip6() {
        addresses.address6 = ip.to_string();
        addresses.prefix6 = has.prefix;
        addresses.gateway6 = has.gateway.to_string();
    }
    addresses
}

/// A network that it shares with others, as it was asked for, and what it has there while it runs.
fn endpoint(
    wanted: &Attachment,
    here: Option<&Attached>,
    container: &ContainerId,
    dialect: Dialect,
) -> Endpoint {
    let docker = dialect == Dialect::Docker;
    let mut ipam = Map::new();
    for (key, address) in [
        ("IPv4Address", wanted.ip.map(|ip| ip.to_string())),
        ("IPv6Address", wanted.ip6.map(|ip| ip.to_string())),
    ] {
        if let Some(address) = address.filter(|_| docker) {
            ipam.insert(key.to_owned(), address.into());
        }
    }
    let mut aliases = wanted.aliases.clone();
    // Podman counts the short id among them, docker has it among the names.
    if !docker {
        aliases.push(container.short().to_owned());
    }
    Endpoint {
        addresses: here.map(|here| of(here, container)).unwrap_or_default(),
        more_macs: (!docker).then(Vec::new),
        network: match here {
            Some(here) if docker => here.id.clone(),
            None if docker => String::new(),
            _ => wanted.network.clone(),
        },
        driver_opts: Map::new(),
        ipam,
        links: Vec::new(),
        aliases,
        dns_names: docker.then(|| here.map(|here| here.names.clone()).unwrap_or_default()),
    }
}

/// The id of a network that has no record.
fn built_in_id(name: &str) -> String {
    network::id(if name == DOCKERS_BUILT_IN { BUILT_IN } else { name })
}

/// What the kernel says of the interface.
fn global(link: &Link, gateway6: Option<String>) -> Addresses {
    let (address6, prefix6) = link.global.map(|(ip, prefix)| (ip.to_string(), prefix)).unwrap_or_default();
    Addresses {
        gateway6: gateway6.unwrap_or_default(),
        address6,
        prefix6,
        mac: link.mac.clone().unwrap_or_default(),
        ..Addresses::default()
    }
}

/// The network that a container of this mode is in, where it has a name.
pub(super) fn network_name(mode: &NetworkMode, dialect: Dialect) -> Option<&str> {
    match mode {
        NetworkMode::None => Some("none"),
        NetworkMode::Host => Some("host"),
        NetworkMode::Slirp(_) | NetworkMode::Pasta(_) if dialect == Dialect::Docker => Some("bridge"),
        NetworkMode::Slirp(_) => Some("slirp4netns"),
        NetworkMode::Pasta(_) => Some("pasta"),
        NetworkMode::Bridge(all) if dialect == Dialect::Docker => {
            all.first().map(|one| network::name(&one.network, dialect))
        }
        NetworkMode::Bridge(_) => Some("bridge"),
        NetworkMode::Private | NetworkMode::Container(_) | NetworkMode::Ns(_) => None,
    }
}

/// `HostConfig.PortBindings`: what was asked for.
pub(super) fn bindings(plan: &ContainerSpec, dialect: Dialect) -> Map<String, Value> {
    let asked: Vec<PortRecord> = plan.network.ports.iter().map(PortRecord::from).collect();
    let every: &[&str] = if dialect == Dialect::Docker { &[""] } else { &["0.0.0.0"] };
    let mut bindings = ports(plan, &asked, every);
    bindings.retain(|_, list| list.as_array().is_some_and(|list| !list.is_empty()));
    bindings
}

/// Ports by `port/protocol`, each with the host addresses it is published at; those that are only
/// exposed have none. `every` is what stands for every address.
fn ports(plan: &ContainerSpec, published: &[PortRecord], every: &[&str]) -> Map<String, Value> {
    let mut ports: Map<String, Value> = Map::new();
    for exposed in &plan.asked.exposed_ports {
        ports.insert(exposed.clone(), Value::Array(Vec::new()));
    }
    for port in published {
        let one = port.host_ip.map(|ip| vec![ip.to_string()]);
        let addresses = one.unwrap_or_else(|| every.iter().map(|ip| (*ip).to_owned()).collect());
        let entry = |ip: &String| json!({ "HostIp": ip, "HostPort": port.host_port.to_string() });
        let entries: Vec<Value> = addresses.iter().map(entry).collect();
        let inside = format!("{}/{}", port.container_port, port.protocol);
        if let Value::Array(list) = ports.entry(inside).or_insert_with(|| Value::Array(Vec::new())) {
            list.extend(entries);
        }
    }
    ports
}
