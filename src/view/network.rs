//! The networks that there are: those that every account has, by podman's or docker's names.

use super::Dialect;
use crate::image::Digest;
use crate::spec::network::SlirpOptions;
use serde_json::{Map, Value, json};

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// What `--network` takes.
    pub name: &'static str,
    /// What connects it.
    pub driver: &'static str,
}

/// All of them. In podman's dialect the modes `host` and `none` are no networks.
pub fn all(dialect: Dialect) -> &'static [Network] {
    match dialect {
        Dialect::Podman => &[Network { name: "podman", driver: "slirp4netns" }],
        Dialect::Docker => &[
            Network { name: "bridge", driver: "slirp4netns" },
            Network { name: "host", driver: "host" },
            Network { name: "none", driver: "null" },
        ],
    }
}

/// The id of a network, which is made from its name, as podman does.
pub fn id(name: &str) -> String {
    Digest::sha256_of(name.as_bytes()).hex().to_owned()
}

impl Network {
    /// Its [`id`](id()).
    pub fn id(&self) -> String {
        id(self.name)
    }

    /// What a template may name; a `whole` id is not shortened.
    pub fn fields(&self, whole: bool) -> Value {
        let mut id = self.id();
        if !whole {
            id.truncate(12);
        }
        json!({
            "CreatedAt": "",
            "Driver": self.driver,
            "ID": id,
            "IPv4": "true",
            "IPv6": "false",
            "Internal": "false",
            "Labels": "",
            "Name": self.name,
            "Scope": "local",
            "IPAMOptions": Map::new(),
            "IPv6Enabled": false,
            "DNSEnabled": false,
            "NetworkInterface": "",
            "Options": Map::new(),
            "Subnets": self.subnets(),
        })
    }

    /// podman's document.
    pub fn json(&self) -> Value {
        json!({
            "name": self.name,
            "id": self.id(),
            "driver": self.driver,
            "subnets": self.subnets(),
            "ipv6_enabled": false,
            "internal": false,
            "dns_enabled": false,
            "ipam_options": { "driver": "host-local" },
        })
    }

    fn subnets(&self) -> Value {
        let usual = SlirpOptions::default();
        match self.driver {
            "slirp4netns" => json!([{ "subnet": usual.cidr.to_string(), "gateway": usual.gateway() }]),
            _ => json!([]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_network_has_podmans_id() {
        let [network] = all(Dialect::Podman) else { panic!("one network") };
        assert!(network.id().starts_with("2f259bab93aa") && network.id().len() == 64);
        assert_eq!(network.fields(false)["ID"], "2f259bab93aa");
        assert_eq!(network.json()["subnets"][0]["subnet"], "10.0.2.0/24");
    }
}
