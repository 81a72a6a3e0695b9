//! A registry, as described to the code that downloads from it.

use super::certs::HostCerts;
use super::credentials::{Credentials, Found};
use crate::image::Reference;
use std::collections::BTreeMap;

/// How far a host's identity is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// https with a certificate that verifies.
    Verified,
    /// The same, or plain http, because the bytes do not leave this machine.
    Loopback,
    /// https with any certificate, or plain http: the user has said so for this host.
    Insecure,
}

impl Security {
    /// What `--tls-verify`, or else `insecure` in registries.conf, says of a host.
    pub(super) fn of(host: &str, tls_verify: Option<bool>, insecure: bool) -> Security {
        match tls_verify {
            Some(true) => Security::Verified,
            Some(false) => Security::Insecure,
            None if insecure => Security::Insecure,
            None if is_loopback(host) => Security::Loopback,
            None => Security::Verified,
        }
    }
}

/// What a registry is asked for, which decides what tokens are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// An image or tags of the repository.
    Pull,
    /// To let this user in: the credentials, and no others, must be checked.
    Login,
    /// The names of its repositories.
    Search,
}

/// One registry as prepared before the download process starts: nothing here needs a file again.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// The physical reference.
    pub(super) reference: Reference,
    pub(super) errand: Errand,
    pub(super) security: Security,
    pub(super) certs: HostCerts,
    pub(super) found: Found,
    /// The user's credentials by host, for token servers elsewhere.
    pub(super) hosts: BTreeMap<String, Credentials>,
}

impl Endpoint {
    /// The host to connect to; docker.io's API lives on another one.
    pub(super) fn api_host(&self) -> &str {
        match self.reference.registry() {
            Some("docker.io") if self.errand == Errand::Search => "index.docker.io",
            Some("docker.io") => "registry-1.docker.io",
            Some(host) => host,
            None => "",
        }
    }

    pub(super) fn host(&self) -> &str {
        self.reference.registry().unwrap_or_default()
    }
}

/// Whether a `host[:port]` names this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}
