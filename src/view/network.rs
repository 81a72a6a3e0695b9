//! A network in podman's and docker's format.

use super::Dialect;
use crate::image::Digest;
use crate::spec::bridge::{
    AttachedAddress, BUILT_IN, DOCKERS_BUILT_IN, Subnet, UserNetwork, dockers_name, first_of_range,
};
use crate::storage::networks::Member;
use crate::text::{Differs, Document, Forms, time};
use chrono::SecondsFormat;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Docker's networks that are none of ours: what `--network` takes, and what docker says connects it.
pub const MODES: [(&str, &str); 2] = [("host", "host"), ("none", "null")];

/// Whether docker has a network of this name that is a mode of ours.
pub fn is_mode(name: &str) -> bool {
    MODES.iter().any(|(mode, _)| *mode == name)
}

/// Where templates see something else than podman's JSON shows.
const PODMAN: [(&str, Differs); 9] = [
    ("network_interface", Differs::Omitted),
    ("routes", Differs::Omitted),
    ("network_dns_servers", Differs::Omitted),
    ("labels", Differs::Omitted),
    ("options", Differs::Omitted),
    ("subnets", Differs::Omitted),
    ("subnets.*.lease_range", Differs::Omitted),
    ("containers.*.interfaces.*.subnets.*.gateway", Differs::Omitted),
    ("routes.*.metric", Differs::Unset),
];

/// The id of a network that is a mode, and of docker's `bridge`: made from its name, as podman does.
pub fn id(name: &str) -> String {
    Digest::sha256_of(name.as_bytes()).hex().to_owned()
}

/// What a network is called.
pub fn name(network: &str, dialect: Dialect) -> &str {
    if dialect == Dialect::Docker { dockers_name(network) } else { network }
}

/// What the user means by a network's name: docker's users call the built-in one otherwise.
pub fn meant(name: &str, dialect: Dialect) -> &str {
    if name == DOCKERS_BUILT_IN && dialect == Dialect::Docker { BUILT_IN } else { name }
}

/// What `network inspect` shows.
pub fn document(network: &UserNetwork, members: &[Member], dialect: Dialect) -> Document {
    match dialect {
        Dialect::Podman => {
            let mut json = podman(network);
            let containers: Map<String, Value> =
                members.iter().map(|member| (member.id.to_string(), podmans_member(member))).collect();
            json["containers"] = containers.into();
            forms(network, json)
        }
        Dialect::Docker => Document::new(docker(network, members), &[("ConfigFrom", Differs::Unset)]),
    }
}

/// The row of a table or template; a `whole` id is not shortened.
pub fn row(network: &UserNetwork, whole: bool, dialect: Dialect) -> Document {
    let mut id = network.id.clone();
    if !whole {
        id.truncate(12);
    }
    match dialect {
        Dialect::Podman => {
            let document = forms(network, podman(network));
            document.with("ID", id.into()).with("Labels", pairs(network).into())
        }
        Dialect::Docker => {
            let name = name(&network.name, dialect);
            let facts = json!({
                "CreatedAt": go_time(network),
                "Driver": "bridge",
                "ID": id,
                "IPv4": network.subnets.iter().any(|subnet| subnet.gateway.is_ipv4()).to_string(),
                "IPv6": network.has_ipv6().to_string(),
                "Internal": network.internal.to_string(),
                "Labels": pairs(network),
                "Name": name,
                "Scope": "local",
            });
            Document::new(facts, &[])
        }
    }
}

/// The row of one of docker's modes.
pub fn mode_row(name: &str, driver: &str, whole: bool) -> Document {
    let mut id = id(name);
    if !whole {
        id.truncate(12);
    }
    let facts = json!({
        "CreatedAt": "", "Driver": driver, "ID": id, "IPv4": "true", "IPv6": "false", "Internal": "false",
        "Labels": "", "Name": name, "Scope": "local",
    });
    Document::new(facts, &[])
}

/// What docker shows of one of its modes.
pub fn mode_document(name: &str, driver: &str) -> Document {
    let facts = json!({
        "Name": name, "Id": id(name), "Created": "0001-01-01T00:00:00Z", "Scope": "local", "Driver": driver,
        "EnableIPv4": true, "EnableIPv6": false,
        "IPAM": { "Driver": "default", "Options": null, "Config": [] },
        "Internal": false, "Attachable": false, "Ingress": false, "ConfigFrom": { "Network": "" },
        "ConfigOnly": false, "Containers": {}, "Options": {}, "Labels": {},
    });
    Document::new(facts, &[])
}

fn go_time(network: &UserNetwork) -> String {
    time::go_utc_exact(network.created)
}

fn pairs(network: &UserNetwork) -> String {
    network.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// Podman's document, which its JSON has in lower case and templates by the names of Go's fields.
fn forms(network: &UserNetwork, json: Value) -> Document {
    let seen = json!({
        "Name": network.name,
        "ID": network.id,
        "Driver": "bridge",
        "NetworkInterface": network.interface,
        "Created": go_time(network),
        "Subnets": seen_subnets(network),
        "Routes": network.routes.iter().map(|route| json!({
            "Destination": route.destination, "Gateway": route.gateway, "Metric": route.metric,
        })).collect::<Value>(),
        "IPv6Enabled": network.ipv6,
        "Internal": network.internal,
        "DNSEnabled": network.dns,
        "NetworkDNSServers": network.dns_servers,
        "Labels": network.labels,
        "Options": network.options,
        "IPAMOptions": { "driver": "host-local" },
        "Containers": json.get("containers").cloned().unwrap_or_else(|| json!({})),
    });
    let json = Document::new(json, &PODMAN);
    Document::of(seen, json.json().clone())
}

fn seen_subnets(network: &UserNetwork) -> Value {
    let subnet = |subnet: &Subnet| {
        let range = subnet.range.map(|(first, last)| json!({ "StartIP": first, "EndIP": last }));
        json!({ "Subnet": subnet.subnet, "Gateway": subnet.gateway, "LeaseRange": range })
    };
    network.subnets.iter().map(subnet).collect()
}

fn podman(network: &UserNetwork) -> Value {
    let subnet = |subnet: &Subnet| {
        let range = subnet.range.map(|(first, last)| json!({ "start_ip": first, "end_ip": last }));
        json!({ "subnet": subnet.subnet, "gateway": subnet.gateway, "lease_range": range })
    };
    let subnets: Value = network.subnets.iter().map(subnet).collect();
    let routes: Value = network
        .routes
        .iter()
        .map(|route| {
            json!({ "destination": route.destination, "gateway": route.gateway, "metric": route.metric })
        })
        .collect();
    json!({
        "name": network.name,
        "id": network.id,
        "driver": "bridge",
        "network_interface": network.interface,
        "created": network.created.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        "subnets": subnets,
        "routes": routes,
        "ipv6_enabled": network.ipv6,
        "internal": network.internal,
        "dns_enabled": network.dns,
        "network_dns_servers": network.dns_servers,
        "labels": network.labels,
        "options": network.options,
        "ipam_options": { "driver": "host-local" },
    })
}

fn podmans_member(member: &Member) -> Value {
    let attached = &member.attached;
    let address = |has: &AttachedAddress| json!({ "ipnet": format!("{}/{}", has.address, has.prefix), "gateway": has.gateway });
    let subnets: Value = attached.addresses.iter().map(address).collect();
    let mut interfaces = Map::new();
    interfaces.insert(attached.interface.clone(), json!({ "subnets": subnets, "mac_address": attached.mac }));
    json!({ "name": member.name, "interfaces": interfaces })
}

/// Docker's document (`docker network inspect`).
fn docker(network: &UserNetwork, members: &[Member]) -> Value {
    let config = |subnet: &Subnet| {
        let mut config = json!({ "Subnet": subnet.subnet, "Gateway": subnet.gateway });
        if let Some((first, last)) = subnet.range {
            config["IPRange"] = range(first, last, &subnet.subnet).into();
        }
        config
    };
    let config: Value = network.subnets.iter().map(config).collect();
    let containers: Map<String, Value> =
        members.iter().map(|member| (member.id.to_string(), dockers_member(member))).collect();
    json!({
        "Name": name(&network.name, Dialect::Docker),
        "Id": network.id,
        "Created": network.created.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": network.subnets.iter().any(|subnet| subnet.gateway.is_ipv4()),
        "EnableIPv6": network.has_ipv6(),
        "IPAM": { "Driver": "default", "Options": {}, "Config": config },
        "Internal": network.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers,
        "Options": network.options,
        "Labels": network.labels,
    })
}

/// In CIDR form, where the two ends are those of a range.
fn range(first: IpAddr, last: IpAddr, subnet: &IpNet) -> String {
    let longest = if first.is_ipv4() { 32 } else { 128 };
    let fits = |prefix: &u8| {
        let begins = |range: &IpNet| first == range.network() || first == first_of_range(range);
        IpNet::new(first, *prefix).is_ok_and(|range| begins(&range) && range.broadcast() == last)
    };
    // The smallest: a single address is also all that the two of a range give.
    let prefix = (subnet.prefix_len()..=longest).rev().find(fits);
    let range = prefix.and_then(|prefix| IpNet::new(first, prefix).ok());
    range.map_or_else(|| format!("{first}-{last}"), |range| range.trunc().to_string())
}

fn dockers_member(member: &Member) -> Value {
    let attached = &member.attached;
    let shown = |has: Option<String>| has.unwrap_or_default();
    json!({
        "Name": member.name,
        "EndpointID": endpoint(&attached.id, member.id.as_str()),
        "MacAddress": attached.mac,
        "IPv4Address": shown(attached.ip().map(|(ip, has)| format!("{ip}/{}", has.prefix))),
        "IPv6Address": shown(attached.ip6().map(|(ip, has)| format!("{ip}/{}", has.prefix))),
    })
}

/// What stands for a container's place on a network: the same as long as both are.
pub fn endpoint(network: &str, container: &str) -> String {
    id(&format!("{network} {container}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::networks::Networks;

    #[test]
    fn podmans_json_has_what_there_is_and_templates_have_all() {
        let document = document(&Networks::built_in(), &[], Dialect::Podman);
        let json = document.json();
        assert_eq!(json["subnets"][0], json!({ "subnet": "10.88.0.0/16", "gateway": "10.88.0.1" }));
        assert!(json.get("labels").is_none() && json["containers"] == json!({}));
        assert_eq!(document.seen()["Name"], "podman");
        assert_eq!(document.seen()["Labels"], json!({}));
    }

    #[test]
    fn docker_calls_the_built_in_network_bridge() {
        let shown = document(&Networks::built_in(), &[], Dialect::Docker);
        assert_eq!(
            (&shown.json()["Name"], &shown.json()["IPAM"]["Config"][0]["Gateway"]),
            (&json!("bridge"), &json!("10.88.0.1"))
        );
    }

    #[test]
    fn a_part_of_a_range_is_shown_in_the_short_form() {
        let of = |first: &str, last: &str| {
            range(first.parse().unwrap(), last.parse().unwrap(), &"10.1.0.0/16".parse().unwrap())
        };
        assert_eq!(of("10.1.2.1", "10.1.2.255"), "10.1.2.0/24");
        assert_eq!(of("10.1.2.0", "10.1.2.255"), "10.1.2.0/24");
        assert_eq!(of("10.1.2.7", "10.1.2.7"), "10.1.2.7/32");
        assert_eq!(of("10.1.2.1", "10.1.2.9"), "10.1.2.1-10.1.2.9");
    }
}
