//! `registries.conf`: which registry and hosts an image name refers to.
//!
//! The rules are those of containers-registries.conf(5) and containers-registries.conf.d(5): one main file, then
//! drop-ins in the order of their names, then the aliases that were chosen at the terminal. The longest matching prefix
//! wins. Without any search registries in any file that is docker.io alone, as for docker.

use super::daemon::{Daemon, Network};
use super::places::Places;
use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use crate::sys::read::{self, Look};
use form::{Form, Mirror, Mode, Registry};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

mod form;
#[cfg(test)]
mod tests;

/// Where short names are looked for without any configuration.
const DEFAULT_REGISTRY: &str = "docker.io";

/// The merged configuration.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    /// With the file that says so.
    search: Option<(Vec<String>, String)>,
    registries: Vec<Registry>,
    /// With the file that has each.
    aliases: BTreeMap<String, (Reference, String)>,
    helpers: Option<Vec<String>>,
    mode: Mode,
    /// Where hosts are insecure.
    networks: Vec<Network>,
}

/// One place to fetch an image from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The physical reference: host, path, tag or digest as sent to that host.
    pub reference: Reference,
    /// Plain http and unverified certificates are allowed there.
    pub insecure: bool,
}

/// What a name may mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resolved {
    /// The full names, in the order in which to try them.
    pub names: Vec<Reference>,
    /// What made them of a short name, as podman tells it.
    pub how: Option<String>,
    /// Somebody is to choose among them, if there is anybody.
    pub choice: bool,
    /// And if there is nobody, none is tried.
    pub enforced: bool,
}

impl Registries {
    /// Reads and merges the files. Missing files are no error, but for one that was named.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a file that cannot be read or has a bad form.
    pub fn load(places: &Places) -> Result<Registries> {
        let mut merged = Registries::default();
        let users = places.user.join("registries.conf");
        let (main, is_users) = match &places.registries_conf {
            Some(named) => (named.clone(), false),
            None if users.symlink_metadata().is_ok() => (users, true),
            None => (places.system.join("registries.conf"), false),
        };
        let found = merged.add(&main, "registries configuration", true)?;
        if !found && places.registries_conf.is_some() {
            return Err(unreadable(&main, "registries configuration", Errno::ENOENT));
        }
        // A user's own main file stands for all of the administrator's.
        let dirs = [(&places.system, !is_users), (&places.user, true)];
        for (dir, _) in dirs.iter().filter(|(_, is_read)| *is_read) {
            for file in drop_ins(&dir.join("registries.conf.d"))? {
                merged.add(&file, "drop-in registries configuration", false)?;
            }
        }
        if let Some(chosen) = places.short_names() {
            merged.add(&chosen, "short-name aliases config file", false)?;
        }
        if let Some(daemon) = &places.daemon {
            merged.add_dockers(Daemon::read(daemon)?);
        }
        Ok(merged)
    }

    /// Adds docker's settings to those of registries.conf.
    fn add_dockers(&mut self, daemon: Daemon) {
        let mirrors: Vec<Mirror> =
            daemon.mirrors.into_iter().map(|(location, insecure)| Mirror::new(location, insecure)).collect();
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

    /// Adds a file; whether there is one.
    fn add(&mut self, path: &Path, what: &str, is_main: bool) -> Result<bool> {
        let text = match read::settings(path) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|e| unreadable(path, what, e.utf8_error()))?,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(unreadable(path, what, e)),
        };
        self.merge(&text, &path.display().to_string(), is_main).map_err(|e| unreadable(path, what, e))?;
        Ok(true)
    }

    /// The settings of a single file.
    #[cfg(any(test, fuzzing))]
    pub(super) fn of_text(text: &str, is_main: bool) -> Result<Registries> {
        let mut merged = Registries::default();
        merged.merge(text, "x", is_main)?;
        Ok(merged)
    }

    fn merge(&mut self, text: &str, origin: &str, is_main: bool) -> Result<()> {
        let form = Form::parse(text, is_main)?;
        if let Some(search) = form.search {
            self.search = Some((search, origin.to_owned()));
        }
        self.helpers = form.helpers.or(self.helpers.take());
        self.mode = form.mode.unwrap_or(self.mode);
        for mut registry in form.registries {
            registry.origin = origin.to_owned();
            self.registries.retain(|r| r.prefix != registry.prefix);
            self.registries.push(registry);
        }
        for (name, value) in form.aliases {
            match value {
                Some(full) => self.aliases.insert(name, (full, origin.to_owned())),
                None => self.aliases.remove(&name),
            };
        }
        Ok(())
    }

    /// `credential-helpers`: where credentials are looked for, in order.
    pub(super) fn credential_helpers(&self) -> Vec<String> {
        let files = || vec![super::credentials::FILES.to_owned()];
        self.helpers.clone().filter(|helpers| !helpers.is_empty()).unwrap_or_else(files)
    }

    /// Where names without a registry are looked for, in order.
    pub fn search(&self) -> Vec<String> {
        self.search.as_ref().map_or_else(|| vec![DEFAULT_REGISTRY.to_owned()], |(list, _)| list.clone())
    }

    /// The full name that a short one is an alias of.
    ///
    /// # Errors
    /// When the two make no valid name.
    pub fn alias_of(&self, reference: &Reference) -> Result<Option<Reference>> {
        if reference.registry().is_some() {
            return Ok(None);
        }
        let full = self.aliases.get(reference.path());
        full.map(|(full, _)| relocate(reference, &full.repository())).transpose()
    }

    /// The full names that a name may refer to.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a short name where there are no search registries (an empty list).
    pub(super) fn resolve(&self, reference: &Reference) -> Result<Resolved> {
        let only = |name: Reference, how: Option<String>| {
            Ok(Resolved { names: vec![name], how, choice: false, enforced: false })
        };
        if reference.registry().is_some() {
            return only(reference.clone(), None);
        }
        let short = reference.path();
        if let Some((full, origin)) = self.aliases.get(short) {
            let how = format!("Resolved {short:?} as an alias ({origin})");
            return only(relocate(reference, &full.repository())?, Some(how));
        }
        let Some((search, origin)) = &self.search else {
            return only(reference.qualify(DEFAULT_REGISTRY), None);
        };
        if search.is_empty() {
            let message = format!(
                "short-name {short:?} did not resolve to an alias and no unqualified-search registries are \
                 defined in {origin:?}"
            );
            let hint = format!("Write the full name, for example docker.io/library/{short}.");
            return Err(Error::new(Kind::Usage, message).hint(hint));
        }
        let names = search.iter().map(|host| reference.qualify(host)).collect();
        let how = format!("Resolving {short:?} using unqualified-search registries ({origin})");
        let choice = search.len() > 1 && self.mode != Mode::Disabled;
        Ok(Resolved { names, how: Some(how), choice, enforced: choice && self.mode == Mode::Enforcing })
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
        let mut sources = Vec::new();
        for mirror in found.mirrors(reference.digest().is_some()) {
            let reference = found.rewrite(reference, &mirror.location)?;
            // A mirror may be at a place that is blocked.
            match self.find_open(&reference) {
                Ok(_) => sources.push(Source { reference, insecure: mirror.insecure }),
                Err(e) => log::warn!("{}", e.in_one_line()),
            }
        }
        let own = found.rewrite(reference, &found.location)?;
        self.find_open(&own)?;
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
                format!("{reference}: registry {} is blocked in {}", found.prefix, found.origin),
            )),
            found => Ok(found),
        }
    }

    fn find(&self, reference: &Reference) -> Option<&Registry> {
        self.registries.iter().filter(|r| r.matches(reference).is_some()).max_by_key(|r| r.prefix.len())
    }
}

impl Registry {
    /// The length of the part of the full name that this prefix covers.
    fn matches(&self, reference: &Reference) -> Option<usize> {
        // Podman takes an asterisk alone for a letter, which no name has.
        if let Some(domain) = self.prefix.strip_prefix('*').filter(|domain| domain.starts_with('.')) {
            let host = reference.registry()?;
            let name = host.split(':').next().unwrap_or(host);
            return name.ends_with(domain).then_some(host.len());
        }
        let full = reference.canonical();
        let rest = full.strip_prefix(self.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with(['/', ':', '@'])).then_some(self.prefix.len())
    }

    fn rewrite(&self, reference: &Reference, location: &str) -> Result<Reference> {
        let repository = reference.repository();
        match self.matches(reference) {
            None => Ok(reference.clone()),
            Some(_) if location.is_empty() => Ok(reference.clone()),
            Some(covered) => match repository.get(covered..) {
                Some(rest) => relocate(reference, &format!("{location}{rest}")),
                // The prefix has a tag or digest, and the location may have another.
                None => match location.parse::<Reference>() {
                    Ok(other) if other.tag().is_some() || other.digest().is_some() => {
                        located(other, location)
                    }
                    _ => relocate(reference, location),
                },
            },
        }
    }
}

/// The same tag and digest under another `host/path`.
fn relocate(reference: &Reference, repository: &str) -> Result<Reference> {
    let mut text = repository.to_owned();
    if let Some(tag) = reference.tag() {
        text.push(':');
        text.push_str(tag);
    }
    if let Some(digest) = reference.digest() {
        text.push('@');
        text.push_str(digest.as_str());
    }
    let moved = text.parse().map_err(|e: Error| {
        Error::new(Kind::Usage, format!("rewriting {reference} by registries.conf")).caused_by(e)
    })?;
    located(moved, repository)
}

fn located(moved: Reference, place: &str) -> Result<Reference> {
    match moved.registry() {
        Some(_) => Ok(moved),
        None => Err(Error::new(Kind::Usage, format!("{place:?} in registries.conf names no registry"))),
    }
}

fn unreadable(path: &Path, what: &str, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Usage, format!("loading {what} {:?}", path.display().to_string()))
        .caused_by(why)
        .hint("See `man containers-registries.conf` for its form.")
}

/// The `*.conf` files of a directory in the order of their names.
fn drop_ins(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound && read::look(dir) == Look::Missing => {
            return Ok(Vec::new());
        }
        Err(e) if e.kind() == ErrorKind::NotADirectory && read::look(dir) != Look::LeadsNowhere => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(unreadable(dir, "drop-in registries configuration", e)),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "conf") && !p.is_dir())
        .collect();
    files.sort();
    Ok(files)
}
