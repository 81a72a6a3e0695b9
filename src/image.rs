//! Pure OCI nouns: digests, references, platforms, image configuration. No I/O.
//!
//! A digest string becomes a [`Digest`] once, at the door, and is a type from then on; only that type
//! may become part of a path or URL (attack case 11).

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub mod change;
mod name;

/// A content digest, `sha256:<64 hex>` or `sha512:<128 hex>` (OCI image spec, descriptor.md, Digests).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The SHA-256 digest of these bytes.
    pub fn sha256_of(bytes: &[u8]) -> Self {
        Digest::from_sha256(Sha256::digest(bytes).into())
    }

    /// A digest from a finished SHA-256 hash.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Digest(format!("sha256:{}", hex(&hash)))
    }

    /// A digest from a finished SHA-512 hash.
    pub fn from_sha512(hash: [u8; 64]) -> Self {
        Digest(format!("sha512:{}", hex(&hash)))
    }

    /// The digest of other bytes, by this digest's algorithm.
    #[must_use]
    pub fn of_same_kind(&self, bytes: &[u8]) -> Digest {
        match self.algorithm() {
            "sha512" => Digest(format!("sha512:{}", hex(&sha2::Sha512::digest(bytes)))),
            _ => Digest::sha256_of(bytes),
        }
    }

    /// `sha256` or `sha512`.
    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(a, _)| a)
    }

    /// The hex digits after the colon.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, h)| h)
    }

    /// The first twelve hex digits, as listings show them.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let length = match s.split_once(':') {
            Some(("sha256", h)) if h.len() == 64 => Some(h),
            Some(("sha512", h)) if h.len() == 128 => Some(h),
            _ => None,
        };
        match length {
            Some(h) if h.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) => {
                Ok(Digest(s.to_owned()))
            }
            _ => Err(Error::new(Kind::Usage, format!("{s:?} is not a digest: sha256:<64 hex digits>"))),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<Digest> for String {
    fn from(d: Digest) -> String {
        d.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a layer's uncompressed tar stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

/// Names a layer together with everything below it (OCI image spec, config.md, Layer ChainID).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(pub Digest);

impl ChainId {
    /// The chain ids of a stack of layers, bottom first.
    pub fn chain(diff_ids: &[DiffId]) -> Vec<ChainId> {
        let mut chain: Vec<ChainId> = Vec::with_capacity(diff_ids.len());
        for diff in diff_ids {
            let next = match chain.last() {
                None => diff.0.clone(),
                Some(below) => Digest::sha256_of(format!("{} {}", below.0, diff.0).as_bytes()),
            };
            chain.push(ChainId(next));
        }
        chain
    }
}

/// An image reference as the user wrote it: `[registry/]path[:tag][@digest]`.
///
/// A reference without a registry is unqualified; `registries.conf` decides where it is looked for, and
/// [`Reference::qualify`] gives it that registry. The grammar is that of the distribution reference
/// package, parsed by hand: a regular expression costs tens of milliseconds at first use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: Option<String>,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry host with optional port, `None` while unqualified.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The repository path within the registry, such as `library/alpine`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag as written; see [`Reference::tag_or_latest`].
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The tag to ask for: `latest` when neither tag nor digest was written.
    pub fn tag_or_latest(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(t), _) => Some(t),
            (None, None) => Some("latest"),
            (None, Some(_)) => None,
        }
    }

    /// The digest as written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same reference at this registry. `docker.io` puts one-part paths under `library/`.
    #[must_use]
    pub fn qualify(&self, registry: &str) -> Reference {
        let path = if registry == "docker.io" && !self.path.contains('/') {
            format!("library/{}", self.path)
        } else {
            self.path.clone()
        };
        Reference {
            registry: Some(registry.to_owned()),
            path,
            tag: self.tag.clone(),
            digest: self.digest.clone(),
        }
    }

    /// The same repository by digest only.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Reference {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// `registry/path` without tag and digest.
    pub fn repository(&self) -> String {
        match &self.registry {
            Some(r) => format!("{r}/{}", self.path),
            None => self.path.clone(),
        }
    }

    /// `registry/path:tag` or `registry/path@digest` with the default tag filled in.
    pub fn canonical(&self) -> String {
        let mut s = self.repository();
        if let Some(tag) = self.tag_or_latest() {
            s.push(':');
            s.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            s.push('@');
            s.push_str(digest.as_str());
        }
        s
    }
}

fn bad_reference(s: &str, why: &str) -> Error {
    Error::new(Kind::Usage, format!("{s:?} is not an image reference: {why}"))
        .hint("Write [registry/]name[:tag][@digest], for example alpine:3.20 or quay.io/team/app.")
}

fn is_registry(part: &str) -> bool {
    part.contains('.') || part.contains(':') || part == "localhost"
}

fn valid_registry(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((v6, rest)) => {
            if v6.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("v6", rest.strip_prefix(':'))
        }
        None => match host.split_once(':') {
            Some((n, p)) => (n, Some(p)),
            None => (host, None),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    name.split('.').all(label) && port.is_none_or(|p| p.parse::<u16>().is_ok_and(|n| n > 0))
}

/// One path component: alphanumerics joined by `.`, `_`, `__` or any number of `-`.
fn valid_component(part: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separator = String::new();
    let mut seen = false;
    for b in part.bytes() {
        if alnum(b) {
            if !separator.is_empty() {
                let dashes = separator.bytes().all(|s| s == b'-');
                if !seen || !(dashes || matches!(separator.as_str(), "." | "_" | "__")) {
                    return false;
                }
                separator.clear();
            }
            seen = true;
        } else if matches!(b, b'.' | b'_' | b'-') {
            separator.push(char::from(b));
        } else {
            return false;
        }
    }
    seen && separator.is_empty()
}

fn valid_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && tag.len() <= 128
}

impl FromStr for Reference {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let text = s.strip_prefix("docker://").unwrap_or(s);
        let (rest, digest) = match text.split_once('@') {
            Some((rest, d)) => (rest, Some(d.parse::<Digest>().map_err(|e| bad_reference(s, e.message()))?)),
            None => (text, None),
        };
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag
            && !valid_tag(tag)
        {
            return Err(bad_reference(s, &format!("tag {tag:?} has characters a tag may not have")));
        }
        let (registry, path) = match rest.split_once('/') {
            Some((first, path)) if is_registry(first) => (Some(first), path),
            _ => (None, rest),
        };
        if let Some(host) = registry
            && !valid_registry(host)
        {
            return Err(bad_reference(s, &format!("{host:?} is not a registry host")));
        }
        if path.is_empty() {
            return Err(bad_reference(s, "the name is empty"));
        }
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(bad_reference(s, "the name must be lower case"));
        }
        if path.len() > 255 || !path.split('/').all(valid_component) {
            return Err(bad_reference(s, "the name has characters or separators it may not have"));
        }
        let plain = Reference { registry: None, path: path.to_owned(), tag: tag.map(str::to_owned), digest };
        Ok(match registry {
            Some("index.docker.io" | "registry-1.docker.io" | "docker.io") => plain.qualify("docker.io"),
            Some(host) => plain.qualify(host),
            None => plain,
        })
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<Reference> for String {
    fn from(r: Reference) -> String {
        r.to_string()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

/// Operating system, architecture and variant, written `os/arch[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, in Go's naming; `linux` for everything that runs here.
    pub os: String,
    /// Architecture, in Go's naming: `amd64`, `arm64`, ...
    pub architecture: String,
    /// Architecture variant: `v8`, `v7`, ...
    pub variant: Option<String>,
}

impl Platform {
    /// The platform this program was built for.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            other => (other, None),
        };
        Platform {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: variant.map(str::to_owned),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let parts: Vec<&str> = s.split('/').collect();
        let word = |p: &str| {
            !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        };
        let host = Platform::host();
        if !parts.iter().all(|p| word(p)) {
            return Err(bad_platform(s));
        }
        let architecture = |a: &str| {
            match a {
                "x86_64" | "x86-64" => "amd64",
                "aarch64" => "arm64",
                "i386" => "386",
                "armhf" => "arm",
                other => other,
            }
            .to_owned()
        };
        Ok(match parts.as_slice() {
            [arch] => Platform { os: host.os, architecture: architecture(arch), variant: None },
            [os, arch] => Platform { os: (*os).into(), architecture: architecture(arch), variant: None },
            [os, arch, v] => {
                Platform { os: (*os).into(), architecture: architecture(arch), variant: Some((*v).into()) }
            }
            _ => return Err(bad_platform(s)),
        })
    }
}

fn bad_platform(s: &str) -> Error {
    Error::new(Kind::Usage, format!("{s:?} is not a platform"))
        .hint("Write os/arch[/variant], for example --platform linux/arm64.")
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |v| write!(f, "/{v}"))
    }
}

/// An image's configuration blob (OCI image spec config.md plus docker's extensions).
///
/// Our own struct because `oci-spec` drops docker's fields. Only these fields are ever obeyed; labels
/// and annotations are data (attack case 15).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Architecture in Go's naming.
    pub architecture: String,
    /// Operating system in Go's naming.
    pub os: String,
    /// Architecture variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How to run a container of it.
    pub config: RunConfig,
    /// Its layers.
    pub rootfs: RootFs,
    /// How it was built, one entry per step.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_default")]
    pub history: Vec<HistoryEntry>,
}

/// The `rootfs` member of an image configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The layers' diff ids, bottom first.
    #[serde(deserialize_with = "null_default")]
    pub diff_ids: Vec<DiffId>,
}

/// One step of an image's history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryEntry {
    /// When the step ran, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What the step was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// The `config` member of an image configuration: defaults for containers of this image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RunConfig {
    /// `user[:group]`, names or numbers.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `port[/proto]` keys with empty values.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// `NAME=value` entries.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Put before the command.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The default command.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Paths that get an anonymous volume.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// Working directory of the command.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Free-form metadata.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Signal that `stop` sends.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Docker's health check, kept as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<serde_json::Value>,
    /// Docker's build triggers.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Docker's shell for the shell form of instructions.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// Docker writes `null` where the field is empty.
fn null_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A local image, as the store hands it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its id: the digest of the configuration blob.
    pub id: Digest,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The name it was found under, if it was found by name.
    pub reference: Option<Reference>,
    /// Its layers' chain ids, bottom first.
    pub layers: Vec<ChainId>,
    /// Its configuration.
    pub config: ImageConfig,
}

#[cfg(test)]
mod tests;
