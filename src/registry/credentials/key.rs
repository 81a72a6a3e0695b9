//! What a login is for: a registry, or a part of one.

use crate::error::{Error, Kind, Result};
use crate::image::Reference;

/// The host that stands for Docker Hub.
const HUB: &str = "docker.io";
/// The key under which docker stores what belongs to docker.io.
pub(super) const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Other names that people write for it.
const HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// A registry, `host[:port]`, or a part of it, `host[:port]/namespace`: what `login` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginKey {
    key: String,
    registry: String,
}

impl LoginKey {
    /// The registry without the namespace.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The registry alone.
    #[must_use]
    pub fn whole(&self) -> LoginKey {
        LoginKey { key: self.registry.clone(), registry: self.registry.clone() }
    }

    /// Whether it names more than a registry.
    pub fn is_namespace(&self) -> bool {
        self.key != self.registry
    }

    /// The key in containers' `auth.json`.
    pub fn as_str(&self) -> &str {
        &self.key
    }

    /// The key in docker's `config.json`, which is also what credential helpers know a registry by.
    pub fn docker(&self) -> &str {
        if self.registry == HUB { HUB_KEY } else { &self.registry }
    }

    /// All keys that stand for the same in files of either form.
    pub(super) fn spellings(&self) -> Vec<String> {
        let mut all = vec![self.key.clone()];
        if !self.is_namespace() {
            let hosts = std::iter::once(HUB).chain(HUB_ALIASES).filter(|_| self.registry == HUB);
            for host in std::iter::once(self.registry.as_str()).chain(hosts) {
                all.push(host.to_owned());
                for scheme in ["https", "http"] {
                    all.extend(["", "/", "/v1/", "/v2/"].map(|path| format!("{scheme}://{host}{path}")));
                }
            }
            all.dedup();
        }
        all
    }

    /// A name below it, to ask for credentials with.
    ///
    /// # Errors
    /// None: what [`str::parse`] took is valid.
    pub(in crate::registry) fn reference(&self) -> Result<Reference> {
        format!("{}/login", self.key).parse()
    }
}

impl std::fmt::Display for LoginKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.key)
    }
}

impl std::str::FromStr for LoginKey {
    type Err = Error;

    /// Reads `[https://]host[:port][/namespace]`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for anything else, a tag or digest included.
    fn from_str(text: &str) -> Result<LoginKey> {
        let bare = text.trim().trim_start_matches("https://").trim_start_matches("http://");
        let bare = bare.trim_end_matches('/');
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        // The addresses of the API itself, with which docker's users name registries.
        let path = if matches!(path, "v1" | "v2") { "" } else { path };
        let host = if HUB_ALIASES.contains(&host) { HUB } else { host };
        let key = if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") };
        let bad = || {
            Error::new(Kind::Usage, format!("{text:?} is not the name of a registry"))
                .hint("Write host[:port] or host[:port]/namespace, for example registry.example.com:5000.")
        };
        let name: Reference = format!("{key}/login").parse().map_err(|_| bad())?;
        if name.tag().is_some() || name.digest().is_some() || name.registry() != Some(host) {
            return Err(bad());
        }
        Ok(LoginKey { key, registry: host.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_and_namespaces_are_read() {
        for (text, key, registry, docker) in [
            ("quay.io", "quay.io", "quay.io", "quay.io"),
            ("localhost:5000/team/", "localhost:5000/team", "localhost:5000", "localhost:5000"),
            ("https://r.example/v2/", "r.example", "r.example", "r.example"),
            ("docker.io", "docker.io", "docker.io", HUB_KEY),
            ("https://index.docker.io/v1/", "docker.io", "docker.io", HUB_KEY),
            ("docker.io/me", "docker.io/me", "docker.io", HUB_KEY),
        ] {
            let read: LoginKey = text.parse().unwrap();
            assert_eq!((read.as_str(), read.registry(), read.docker()), (key, registry, docker), "{text}");
        }
        for bad in
            ["", "nodots", "r.example/a:1", "r.example/A", "r.example\r\nX: y", "a b.c", "../x", "r.io/../x"]
        {
            assert!(bad.parse::<LoginKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_spelling_of_docker_hub_is_known() {
        let spellings = "docker.io".parse::<LoginKey>().unwrap().spellings();
        assert!(spellings.contains(&HUB_KEY.to_owned()), "{spellings:?}");
        let own = "r.io/x".parse::<LoginKey>().unwrap().spellings();
        assert_eq!(own, ["r.io/x"]);
    }
}
