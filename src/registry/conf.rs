//! `registries.conf` version 2: which registry and hosts an image name refers to.
//!
//! The rules are those of containers-registries.conf(5): one main file (the user's takes precedence over the
//! administrator's), then drop-ins in lexical order; the longest matching prefix wins. The user is never
//! prompted: a short name without an alias is tried at each search registry in turn, and without any
//! configuration that is docker.io alone.

use super::daemon::{Daemon, Network};
use super::places::Places;
use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where short names are looked for without any configuration.
const DEFAULT_REGISTRY: &str = "docker.io";

/// The merged configuration.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    search: Option<Vec<String>>,
    registries: Vec<Registry>,
    aliases: BTreeMap<String, String>,
    helpers: Option<Vec<String>>,
    /// Where hosts are insecure.
    networks: Vec<Network>,
}

/// One file's form.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    unqualified_search_registries: Option<Vec<String>>,
    credential_helpers: Option<Vec<String>>,
    registry: Vec<Registry>,
    aliases: BTreeMap<String, String>,
    /// Present only in the form of version 1.
    registries: Option<toml::Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Registry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror: Vec<Mirror>,
    mirror_by_digest_only: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Mirror {
    location: String,
    insecure: bool,
    pull_from_mirror: PullFromMirror,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PullFromMirror {
    #[default]
    #[serde(alias = "")]
    All,
    DigestOnly,
    TagOnly,
}

/// One place to fetch an image from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The physical reference: host, path, tag or digest as sent to that host.
    pub reference: Reference,
    /// Plain http and unverified certificates are allowed there.
    pub insecure: bool,
}

impl Registries {
    /// Reads and merges the files. Missing files are no error.
    ///
    /// # Errors
    /// A file that cannot be read or has a bad form.
    pub fn load(places: &Places) -> Result<Registries> {
        let mut merged = Registries::default();
        let main = match &places.registries_conf {
            Some(file) => file.clone(),
            None => {
                let user = places.user.join("registries.conf");
                if user.exists() { user } else { places.system.join("registries.conf") }
            }
        };
        merged.add(&main)?;
        for dir in [&places.system, &places.user] {
            for file in drop_ins(&dir.join("registries.conf.d"))? {
                merged.add(&file)?;
            }
        }
        if let Some(cache) = &places.cache {
            merged.add(&cache.join("short-name-aliases.conf"))?;
        }
        if let Some(daemon) = &places.daemon {
            merged.add_dockers(Daemon::read(daemon)?);
        }
        Ok(merged)
    }

    /// Adds docker's settings to those of registries.conf.
    fn add_dockers(&mut self, daemon: Daemon) {
        let mirrors = daemon.mirrors.into_iter().map(|(location, insecure)| Mirror {
            location,
            insecure,
            ..Mirror::default()
        });
        let mirrors: Vec<Mirror> = mirrors.collect();
        if !mirrors.is_empty() {
            self.registry(DEFAULT_REGISTRY).mirror.splice(..0, mirrors);
        }
        for host in &daemon.insecure {
            self.registry(host).insecure = true;
        }
        self.networks = daemon.networks;
    }

    /// The entry of a host, made if there is none.
    fn registry(&mut self, host: &str) -> &mut Registry {
        let at = self.registries.iter().position(|registry| registry.prefix == host).unwrap_or_else(|| {
            let (prefix, location) = (host.to_owned(), host.to_owned());
            self.registries.push(Registry { prefix, location, ..Registry::default() });
            self.registries.len() - 1
        });
        &mut self.registries[at]
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => {
                return Err(Error::new(Kind::Usage, format!("read {}", path.display())).caused_by(e));
            }
        };
        self.merge(&text).map_err(|e| {
            Error::new(Kind::Usage, format!("{} is not a registries.conf of version 2", path.display()))
                .caused_by(e)
                .hint("See `man containers-registries.conf` for its form.")
        })
    }

    fn merge(&mut self, text: &str) -> Result<()> {
        let file: File = toml::from_str(text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Error::new(Kind::Usage, format!("line {line}: {}", e.message().replace('\n', " ")))
        })?;
        if file.registries.is_some() {
            return Err(Error::new(Kind::Usage, "[registries.*] tables are the form of version 1"));
        }
        if file.unqualified_search_registries.is_some() {
            self.search = file.unqualified_search_registries;
        }
        if file.credential_helpers.is_some() {
            self.helpers = file.credential_helpers;
        }
        for mut registry in file.registry {
            registry.check()?;
            self.registries.retain(|r| r.prefix != registry.prefix);
            self.registries.push(registry);
        }
        for (name, value) in file.aliases {
            // An empty value erases the alias of an earlier file.
            if value.is_empty() {
                self.aliases.remove(&name);
            } else {
                self.aliases.insert(name, value);
            }
        }
        Ok(())
    }

    /// `credential-helpers`: where credentials are looked for, in order.
    pub(super) fn credential_helpers(&self) -> Vec<String> {
        self.helpers.clone().unwrap_or_else(|| vec![super::credentials::FILES.to_owned()])
    }

    /// Where names without a registry are looked for, in order.
    pub fn search(&self) -> Vec<String> {
        self.search.clone().unwrap_or_else(|| vec![DEFAULT_REGISTRY.to_owned()])
    }

    /// The full names that a name may refer to, in the order in which to try them.
    ///
    /// # Errors
    /// An alias that does not name a registry, or no search registries at all (an empty list).
    pub fn candidates(&self, reference: &Reference) -> Result<Vec<Reference>> {
        if reference.registry().is_some() {
            return Ok(vec![reference.clone()]);
        }
        if let Some(alias) = self.aliases.get(reference.path()) {
            let target: Reference = alias.parse()?;
            if target.registry().is_none() {
                return Err(Error::new(
                    Kind::Usage,
                    format!("short-name alias {:?} = {alias:?} names no registry", reference.path()),
                ));
            }
            return Ok(vec![relocate(reference, &target.repository())?]);
        }
        match &self.search {
            None => Ok(vec![reference.qualify(DEFAULT_REGISTRY)]),
            Some(list) if list.is_empty() => Err(Error::new(
                Kind::Usage,
                format!(
                    "{:?} names no registry and unqualified-search-registries is empty",
                    reference.path()
                ),
            )
            .hint(format!("Write the full name, for example docker.io/library/{}.", reference.path()))),
            Some(list) => list
                .iter()
                .map(|registry| relocate(reference, &format!("{registry}/{}", reference.path())))
                .collect(),
        }
    }

    /// The places to fetch a full name from: mirrors first, its own location last.
    ///
    /// # Errors
    /// The name is blocked, or a configured location does not make a valid name.
    pub fn sources(&self, reference: &Reference) -> Result<Vec<Source>> {
        let Some(found) = self.find_open(reference)? else {
            let insecure = self.is_in_network(reference);
            return Ok(vec![Source { reference: reference.clone(), insecure }]);
        };
        let by_digest = reference.digest().is_some();
        let mut sources = Vec::new();
        for mirror in &found.mirror {
            let wanted = match mirror.pull_from_mirror {
                PullFromMirror::All => by_digest || !found.mirror_by_digest_only,
                PullFromMirror::DigestOnly => by_digest,
                PullFromMirror::TagOnly => !by_digest,
            };
            if wanted {
                let reference = found.rewrite(reference, &mirror.location)?;
                sources.push(Source { reference, insecure: mirror.insecure });
            }
        }
        let own = found.rewrite(reference, &found.location)?;
        let insecure = found.insecure || self.is_in_network(&own);
        sources.push(Source { reference: own, insecure });
        Ok(sources)
    }

    /// Whether plain http and unverified certificates are allowed at the host of a name, whatever mirrors it has.
    ///
    /// # Errors
    /// The name is blocked.
    pub(super) fn insecure(&self, reference: &Reference) -> Result<bool> {
        Ok(self.find_open(reference)?.is_some_and(|found| found.insecure) || self.is_in_network(reference))
    }

    fn is_in_network(&self, reference: &Reference) -> bool {
        let host = reference.registry().unwrap_or_default();
        self.networks.iter().any(|network| network.has(host))
    }

    fn find_open(&self, reference: &Reference) -> Result<Option<&Registry>> {
        match self.find(reference) {
            Some(found) if found.blocked => Err(Error::new(
                Kind::Registry,
                format!("{reference} is blocked by the [[registry]] {:?} of registries.conf", found.prefix),
            )),
            found => Ok(found),
        }
    }

    fn find(&self, reference: &Reference) -> Option<&Registry> {
        self.registries.iter().filter(|r| r.matches(reference).is_some()).max_by_key(|r| r.prefix.len())
    }
}

impl Registry {
    fn check(&mut self) -> Result<()> {
        for text in [&mut self.prefix, &mut self.location] {
            *text = text.trim_end_matches('/').to_owned();
        }
        if self.prefix.is_empty() {
            self.prefix = self.location.clone();
        }
        if self.location.is_empty() && !self.prefix.starts_with("*.") {
            self.location = self.prefix.clone();
        }
        let bad =
            |what: &str| Err(Error::new(Kind::Usage, format!("[[registry]] {:?}: {what}", self.prefix)));
        if self.prefix.is_empty() {
            return bad("neither prefix nor location is set");
        }
        if self.prefix.contains("://") || self.location.contains("://") {
            return bad("prefix and location are written without a scheme");
        }
        if self.mirror.iter().any(|m| m.location.is_empty() || m.location.contains("://")) {
            return bad("a mirror's location is host[:port][/path] without a scheme");
        }
        if self.mirror_by_digest_only && self.mirror.iter().any(|m| m.pull_from_mirror != PullFromMirror::All)
        {
            return bad("pull-from-mirror cannot be combined with mirror-by-digest-only");
        }
        Ok(())
    }

    /// The length of the part of the repository name that this prefix covers.
    fn matches(&self, reference: &Reference) -> Option<usize> {
        let full = reference.to_string();
        if let Some(domain) = self.prefix.strip_prefix('*') {
            let host = reference.registry()?;
            return host.ends_with(domain).then_some(host.len());
        }
        let rest = full.strip_prefix(self.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with(['/', ':', '@'])).then_some(self.prefix.len())
    }

    fn rewrite(&self, reference: &Reference, location: &str) -> Result<Reference> {
        let repository = reference.repository();
        match self.matches(reference) {
            // A prefix with a tag or digest covers the whole repository.
            Some(covered) if !location.is_empty() => {
                relocate(reference, &format!("{location}{}", repository.get(covered..).unwrap_or("")))
            }
            _ => Ok(reference.clone()),
        }
    }
}

/// The same tag and digest under another `host/path`.
fn relocate(reference: &Reference, repository: &str) -> Result<Reference> {
    let mut text = repository.trim_end_matches('/').to_owned();
    if let Some(tag) = reference.tag() {
        text.push(':');
        text.push_str(tag);
    }
    if let Some(digest) = reference.digest() {
        text.push('@');
        text.push_str(digest.as_str());
    }
    let moved: Reference = text.parse()?;
    if moved.registry().is_none() {
        return Err(Error::new(Kind::Usage, format!("{repository:?} in registries.conf names no registry")));
    }
    Ok(moved)
}

/// The `*.conf` files of a directory in lexical order.
fn drop_ins(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(_) => return Ok(Vec::new()),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "conf"))
        .collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> Registries {
        let mut merged = Registries::default();
        merged.merge(text).unwrap();
        merged
    }

    fn name(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn sources(conf: &Registries, text: &str) -> Vec<(String, bool)> {
        let found = conf.sources(&name(text)).unwrap();
        found.into_iter().map(|s| (s.reference.canonical(), s.insecure)).collect()
    }

    #[test]
    fn without_configuration_short_names_are_docker_hubs() {
        let found = Registries::default().candidates(&name("alpine:3")).unwrap();
        assert_eq!(found, [name("docker.io/library/alpine:3")]);
        let found = Registries::default().candidates(&name("team/app")).unwrap();
        assert_eq!(found, [name("docker.io/team/app")]);
    }

    #[test]
    fn aliases_keep_tag_and_digest_and_search_goes_in_order() {
        let conf = conf(
            "unqualified-search-registries = ['one.example', 'docker.io']\n\
             [aliases]\n'fedora' = 'registry.fedoraproject.org/fedora'",
        );
        assert_eq!(
            conf.candidates(&name("fedora:40")).unwrap(),
            [name("registry.fedoraproject.org/fedora:40")]
        );
        assert_eq!(
            conf.candidates(&name("app")).unwrap(),
            [name("one.example/app"), name("docker.io/library/app")]
        );
        assert_eq!(conf.candidates(&name("q.example/app")).unwrap(), [name("q.example/app")]);
    }

    #[test]
    fn an_empty_search_list_is_an_error_with_a_hint() {
        let error = conf("unqualified-search-registries = []").candidates(&name("app")).unwrap_err();
        assert!(error.hints()[0].contains("docker.io/library/app"));
    }

    #[test]
    fn the_longest_prefix_wins_and_is_rewritten() {
        let conf = conf(
            "[[registry]]\nprefix='example.com/foo'\nlocation='internal.example/bar'\n\
             [[registry.mirror]]\nlocation='m0.local/for-foo'\n\
             [[registry.mirror]]\nlocation='m1.local/foo'\ninsecure=true\npull-from-mirror='digest-only'\n\
             [[registry]]\nlocation='example.com'\ninsecure=true\n\
             [[registry]]\nprefix='*.example.org'\ninsecure=true\n\
             [[registry]]\nlocation='bad.example'\nblocked=true",
        );
        assert_eq!(
            sources(&conf, "example.com/foo/image:1"),
            [
                ("m0.local/for-foo/image:1".to_owned(), false),
                ("internal.example/bar/image:1".to_owned(), false)
            ]
        );
        let digest = format!("@sha256:{}", "a".repeat(64));
        assert_eq!(sources(&conf, &format!("example.com/foo/image{digest}")).len(), 3);
        assert_eq!(sources(&conf, "example.com/foobar"), [("example.com/foobar:latest".to_owned(), true)]);
        assert_eq!(sources(&conf, "a.b.example.org/x"), [("a.b.example.org/x:latest".to_owned(), true)]);
        assert_eq!(sources(&conf, "example.org/x"), [("example.org/x:latest".to_owned(), false)]);
        assert!(conf.sources(&name("bad.example/x")).unwrap_err().message().contains("blocked"));
    }

    #[test]
    fn later_files_replace_and_erase() {
        let mut merged = conf("[aliases]\n'a'='x.io/a'\n[[registry]]\nlocation='r.io'\nblocked=true");
        merged.merge("[aliases]\n'a'=''\n[[registry]]\nlocation='r.io'").unwrap();
        assert_eq!(merged.candidates(&name("a")).unwrap(), [name("docker.io/library/a")]);
        assert!(merged.sources(&name("r.io/x")).is_ok());
    }

    #[test]
    fn dockers_mirrors_come_first_and_its_hosts_are_insecure() {
        let mut merged = conf(
            "[[registry]]\nlocation='docker.io'\n[[registry.mirror]]\nlocation='m.local'\n\
             [[registry]]\nlocation='r.example'\n[[registry]]\nlocation='b.example'\nblocked=true",
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.json");
        let text = r#"{"registry-mirrors": ["http://d.local"], "insecure-registries": ["r.example", "x.example", "10.0.0.0/8"]}"#;
        std::fs::write(&path, text).unwrap();
        merged.add_dockers(Daemon::read(&path).unwrap());
        let names: Vec<_> = sources(&merged, "docker.io/library/a").into_iter().collect();
        assert_eq!(
            names,
            [
                ("d.local/library/a:latest".to_owned(), true),
                ("m.local/library/a:latest".to_owned(), false),
                ("docker.io/library/a:latest".to_owned(), false)
            ]
        );
        for (image, insecure) in
            [("r.example/a", true), ("x.example/a", true), ("10.1.1.1:5000/a", true), ("y.example/a", false)]
        {
            assert_eq!(sources(&merged, image)[0].1, insecure, "{image}");
            assert_eq!(merged.insecure(&name(image)).unwrap(), insecure, "{image}");
        }
        assert!(merged.sources(&name("b.example/a")).is_err());
        assert_eq!(Daemon::read(&dir.path().join("none")).unwrap(), Daemon::default());
    }

    #[test]
    fn bad_files_are_refused() {
        for bad in [
            "[registries.search]\nregistries=['a']",
            "[[registry]]\ninsecure=true",
            "[[registry]]\nlocation='https://r.io'",
            "[[registry]]\nlocation='r.io'\nmirror-by-digest-only=true\n\
             [[registry.mirror]]\nlocation='m'\npull-from-mirror='tag-only'",
            "x = ",
        ] {
            assert!(Registries::default().merge(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_users_file_replaces_the_systems_and_drop_ins_add() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (path, text) in [
            ("sys/registries.conf", "unqualified-search-registries=['sys.example']"),
            ("user/registries.conf", "unqualified-search-registries=['user.example']"),
            ("sys/registries.conf.d/10.conf", "[aliases]\n'a'='sys.example/a'"),
            ("user/registries.conf.d/20.conf", "[aliases]\n'a'='user.example/a'"),
            ("user/registries.conf.d/30.txt", "no toml"),
        ] {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), text).unwrap();
        }
        let places = Places { system: at("sys"), user: at("user"), ..Places::default() };
        let merged = Registries::load(&places).unwrap();
        assert_eq!(merged.candidates(&name("b")).unwrap(), [name("user.example/b")]);
        assert_eq!(merged.candidates(&name("a")).unwrap(), [name("user.example/a")]);
    }
}
