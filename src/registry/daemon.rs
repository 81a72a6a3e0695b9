//! What docker's `daemon.json` says of registries: `registry-mirrors` and `insecure-registries` (dockerd(8)).

use crate::error::{Error, Kind, Result};
use crate::sys::read;
use serde::Deserialize;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;

/// The settings that are used here; there are many more.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    registry_mirrors: Vec<String>,
    insecure_registries: Vec<String>,
}

/// Settings on registries.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Daemon {
    /// Mirrors of docker.io: `host[:port][/path]`, and whether they are asked in clear text.
    pub mirrors: Vec<(String, bool)>,
    /// Hosts whose certificates are not checked, and that may speak plain http.
    pub insecure: Vec<String>,
    /// Networks of such hosts.
    pub networks: Vec<Network>,
}

/// A network: an address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Network(IpAddr, u32);

impl Daemon {
    /// Reads a file; nothing is said by one that is not there.
    ///
    /// # Errors
    /// A file that cannot be read or is malformed, a mirror that is no URL.
    pub(super) fn read(path: &Path) -> Result<Daemon> {
        let text = match read::settings(path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Daemon::default()),
            Err(e) => return Err(Error::new(Kind::Usage, format!("read {}", path.display())).caused_by(e)),
        };
        Daemon::parse(&text).map_err(|e| {
            Error::new(Kind::Usage, format!("{} is not docker's configuration", path.display())).caused_by(e)
        })
    }

    fn parse(text: &[u8]) -> Result<Daemon> {
        let file: File = serde_json::from_slice(text)
            .map_err(|e| Error::new(Kind::Usage, format!("line {}, column {}", e.line(), e.column())))?;
        let mut found = Daemon::default();
        for mirror in &file.registry_mirrors {
            let bad = || {
                Error::new(Kind::Usage, format!("registry-mirrors: {mirror:?} is not http[s]://host[:port]"))
            };
            let (scheme, place) = mirror.split_once("://").ok_or_else(bad)?;
            let place = place.trim_end_matches('/');
            if !matches!(scheme, "http" | "https") || place.is_empty() || place.contains(['@', '?', '#']) {
                return Err(bad());
            }
            found.mirrors.push((place.to_owned(), scheme == "http"));
        }
        for host in &file.insecure_registries {
            match Network::parse(host) {
                Some(network) => found.networks.push(network),
                None => {
                    let bare = host.trim_start_matches("https://").trim_start_matches("http://");
                    found.insecure.push(bare.trim_end_matches('/').to_owned());
                }
            }
        }
        Ok(found)
    }
}

impl Network {
    /// Reads `address/bits`.
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Network(address, bits))
    }

    /// Whether `host[:port]` is an address in it.
    pub(super) fn has(self, host: &str) -> bool {
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((v6, _)) => v6,
            None => host.split(':').next().unwrap_or(host),
        };
        // What differs in the bits that count, if anything does.
        match (self.0, name.parse()) {
            (IpAddr::V4(own), Ok(IpAddr::V4(other))) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - self.1).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), Ok(IpAddr::V6(other))) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.1).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_settings_are_read() {
        let text = r#"{"debug": true, "registry-mirrors": ["https://m.example:5000/", "http://plain.example"],
            "insecure-registries": ["r.example:5000", "http://h.example", "10.1.0.0/16", "fd00::/8"]}"#;
        let found = Daemon::parse(text.as_bytes()).unwrap();
        assert_eq!(found.mirrors, [("m.example:5000".to_owned(), false), ("plain.example".to_owned(), true)]);
        assert_eq!(found.insecure, ["r.example:5000", "h.example"]);
        let inside = |host: &str| found.networks.iter().any(|network| network.has(host));
        for yes in ["10.1.2.3", "10.1.2.3:5000", "[fd12::1]:5000"] {
            assert!(inside(yes), "{yes}");
        }
        for no in ["10.2.0.1", "10.1.example", "[fe80::1]:1", "r.example"] {
            assert!(!inside(no), "{no}");
        }
        let all = Network::parse("0.0.0.0/0").unwrap();
        assert!(all.has("1.2.3.4") && !all.has("[::1]:5"));
        assert!(Network::parse("1.2.3.4/32").unwrap().has("1.2.3.4"));
        assert_eq!(Network::parse("1.2.3.4/33"), None);
        for bad in
            ["1", "{\"registry-mirrors\": [\"m.example\"]}", "{\"registry-mirrors\": [\"https://a@b\"]}", "{"]
        {
            assert!(Daemon::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
