//! Image references as users write them.

use super::Digest;
use crate::error::{Error, Kind, Result, phrases};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

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

    /// What a registry is asked for: the digest, or else the tag.
    pub fn asked_for(&self) -> &str {
        self.digest().map(Digest::as_str).or(self.tag_or_latest()).unwrap_or_default()
    }

    /// The digest as written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same reference with its registry: docker.io where none is written.
    #[must_use]
    pub fn with_registry(&self) -> Reference {
        if self.registry.is_some() { self.clone() } else { self.qualify("docker.io") }
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

    /// The same repository by this tag only; one that is no tag is left out.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> Reference {
        let tag = Some(tag.to_owned()).filter(|tag| valid_tag(tag));
        Reference { tag, digest: None, ..self.clone() }
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

    /// The full form of a name that an image is to get: under `localhost/` without a registry, with the
    /// tag `latest` without one.
    ///
    /// # Errors
    /// When it has a digest, which nobody can give.
    pub fn as_new_name(&self) -> Result<Reference> {
        if self.digest.is_some() {
            return Err(Error::new(Kind::Usage, format!("{self} has a digest, which cannot be chosen"))
                .hint("Write [registry/]name[:tag]."));
        }
        let named = if self.registry.is_some() { self.clone() } else { self.qualify("localhost") };
        Ok(Reference { tag: Some(self.tag.clone().unwrap_or_else(|| "latest".to_owned())), ..named })
    }
}

const FORM: &str = "Write [registry/]name[:tag][@digest], for example alpine:3.20 or quay.io/team/app.";

fn bad_reference(s: &str, why: &str) -> Error {
    Error::new(Kind::Usage, format!("{s:?}: invalid reference format: {why}")).hint(FORM)
}

fn is_registry(part: &str) -> bool {
    part.contains('.') || part.contains(':') || part == "localhost"
}

fn valid_registry(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((v6, rest)) => {
            if v6.parse::<std::net::Ipv6Addr>().is_err() || !(rest.is_empty() || rest.starts_with(':')) {
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

/// Longest tag (distribution spec).
const TAG_MAX: usize = 128;
/// Longest repository path (distribution's reference grammar).
const PATH_MAX: usize = 255;

fn valid_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && tag.len() <= TAG_MAX
}

impl FromStr for Reference {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        // With its transport a name is a full one, and no short one (containers-transports(5)).
        let (text, is_full) = s.strip_prefix("docker://").map_or((s, false), |text| (text, true));
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
            return Err(match tag.len() {
                0 => bad_reference(s, "the tag is empty"),
                1..=TAG_MAX => bad_reference(s, &format!("tag {tag:?} has characters a tag may not have")),
                long => bad_reference(s, &format!("its tag has {long} characters, more than {TAG_MAX}")),
            });
        }
        let (registry, path) = match rest.split_once('/') {
            Some((first, path)) if is_registry(first) => (Some(first), path),
            _ => (None, rest),
        };
        if let Some(host) = registry
            && !valid_registry(host)
        {
            return Err(match host {
                "http:" | "https:" => bad_reference(s, "a name has no scheme: leave http:// or https:// out"),
                _ => bad_reference(s, &format!("{host:?} is not a registry host")),
            });
        }
        if path.is_empty() {
            return Err(bad_reference(s, "the name is empty"));
        }
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(phrases::not_lower_case(s).hint(FORM));
        }
        if path.len() > PATH_MAX {
            return Err(bad_reference(
                s,
                &format!("the name has {} characters, more than {PATH_MAX}", path.len()),
            ));
        }
        if !path.split('/').all(valid_component) {
            return Err(bad_reference(s, "the name has characters or separators it may not have"));
        }
        let plain = Reference { registry: None, path: path.to_owned(), tag: tag.map(str::to_owned), digest };
        Ok(match registry {
            Some("index.docker.io" | "registry-1.docker.io" | "docker.io") => plain.qualify("docker.io"),
            Some(host) => plain.qualify(host),
            None if is_full => plain.qualify("docker.io"),
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
