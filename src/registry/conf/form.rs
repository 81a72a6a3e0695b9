//! What one `registries.conf` may say: version 2, and version 1 in its place (containers-registries.conf(5)).

use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A file, read and checked.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// `unqualified-search-registries`.
    pub search: Option<Vec<String>>,
    /// `credential-helpers`.
    pub helpers: Option<Vec<String>>,
    /// `short-name-mode`.
    pub mode: Option<Mode>,
    /// `[[registry]]`.
    pub registries: Vec<Registry>,
    /// `[aliases]`: the full name of each short one; `None` takes an earlier file's alias away.
    pub aliases: BTreeMap<String, Option<Reference>>,
}

/// `short-name-mode`: what becomes of a short name that several registries may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Somebody has to choose.
    Enforcing,
    /// Somebody chooses; where there is nobody, all are tried.
    #[default]
    Permissive,
    /// All are tried.
    Disabled,
}

/// One `[[registry]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Registry {
    pub prefix: String,
    pub location: String,
    pub insecure: bool,
    pub blocked: bool,
    pub mirror: Vec<Mirror>,
    pub mirror_by_digest_only: bool,
    /// Only mirrors may have it.
    pub pull_from_mirror: String,
    /// The file that has it.
    #[serde(skip)]
    pub origin: String,
}

/// One `[[registry.mirror]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Mirror {
    pub location: String,
    pub insecure: bool,
    pull_from_mirror: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Raw {
    unqualified_search_registries: Option<Vec<String>>,
    credential_helpers: Option<Vec<String>>,
    short_name_mode: String,
    registry: Vec<Registry>,
    aliases: BTreeMap<String, String>,
    /// The form of version 1.
    registries: Lists,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lists {
    search: List,
    insecure: List,
    block: List,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct List {
    registries: Vec<String>,
}

impl Form {
    /// Reads the text of a file; only the main one may have the form of version 1.
    ///
    /// # Errors
    /// [`Kind::Usage`], with the line or the key that is wrong.
    pub(super) fn parse(text: &str, is_main: bool) -> Result<Form> {
        let raw: Raw = toml::from_str(text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            bad(format!("line {line}: {}", e.message().replace('\n', " ")))
        })?;
        let is_first = [&raw.registries.search, &raw.registries.insecure, &raw.registries.block]
            .iter()
            .any(|list| !list.registries.is_empty());
        let is_second = raw.unqualified_search_registries.is_some()
            || raw.credential_helpers.is_some()
            || !raw.short_name_mode.is_empty()
            || !raw.registry.is_empty()
            || !raw.aliases.is_empty();
        match (is_first, is_second) {
            (true, _) if !is_main => Err(bad("registry must be in v2 format but is in v1".to_owned())),
            (true, true) => Err(bad("mixing sysregistry v1/v2 is not supported".to_owned())),
            (true, false) => raw.registries.form(),
            (false, _) => raw.form(),
        }
    }
}

impl Raw {
    fn form(self) -> Result<Form> {
        let mut registries = self.registry;
        registries.iter_mut().try_for_each(Registry::check)?;
        for (at, one) in registries.iter().enumerate() {
            for other in registries.iter().take(at).filter(|other| other.place() == one.place()) {
                let key = match (one.insecure != other.insecure, one.blocked != other.blocked) {
                    (true, _) => "insecure",
                    (_, true) => "blocked",
                    _ => continue,
                };
                return Err(bad(format!(
                    "registry '{}' is defined multiple times with conflicting '{key}' setting",
                    one.place()
                )));
            }
        }
        let mode = match self.short_name_mode.as_str() {
            "" => None,
            "enforcing" => Some(Mode::Enforcing),
            "permissive" => Some(Mode::Permissive),
            "disabled" => Some(Mode::Disabled),
            other => return Err(bad(format!("invalid short-name mode: {other:?}"))),
        };
        let search = self.unqualified_search_registries.map(hosts).transpose()?;
        let aliases = self.aliases.into_iter().map(alias).collect::<Result<_>>()?;
        Ok(Form { search, helpers: self.credential_helpers, mode, registries, aliases })
    }
}

impl Lists {
    /// What it says, in the form of version 2.
    fn form(self) -> Result<Form> {
        let mut registries: Vec<Registry> = Vec::new();
        for (list, blocked) in [(self.block, true), (self.insecure, false)] {
            for text in list.registries {
                let location = trimmed(&text)?;
                let at = registries.iter().position(|registry| registry.location == location);
                let at = at.unwrap_or_else(|| {
                    registries.push(Registry { location, ..Registry::default() });
                    registries.len() - 1
                });
                let registry = &mut registries[at];
                registry.check()?;
                (registry.blocked, registry.insecure) =
                    (registry.blocked || blocked, registry.insecure || !blocked);
            }
        }
        Ok(Form { search: Some(hosts(self.search.registries)?), registries, ..Form::default() })
    }
}

impl Registry {
    fn check(&mut self) -> Result<()> {
        (self.prefix, self.location) = (trimmed(&self.prefix)?, trimmed(&self.location)?);
        if self.prefix.is_empty() && self.location.is_empty() {
            return Err(bad("[[registry]]: both location and prefix are unset".to_owned()));
        }
        if self.prefix.is_empty() {
            self.prefix.clone_from(&self.location);
        }
        if self.prefix.starts_with("*.") && self.prefix.contains(['/', ':', '@']) {
            return Err(bad(format!(
                "Wildcarded prefix should be in the format: *.example.com. Current prefix {:?} is incorrectly \
                 formatted",
                self.prefix
            )));
        }
        if self.location.is_empty() && !self.prefix.starts_with("*.") {
            self.location.clone_from(&self.prefix);
        }
        if !self.pull_from_mirror.is_empty() {
            return Err(bad(format!(
                "pull-from-mirror must not be set for a non-mirror registry {:?}",
                self.prefix
            )));
        }
        for mirror in &mut self.mirror {
            mirror.location = trimmed(&mirror.location)?;
            if mirror.location.is_empty() {
                return Err(bad(format!("[[registry]] {:?}: mirror location is unset", self.prefix)));
            }
            match mirror.pull_from_mirror.as_str() {
                "" => {}
                "all" | "digest-only" | "tag-only" if self.mirror_by_digest_only => {
                    return Err(bad(format!(
                        "cannot set mirror usage mirror-by-digest-only for the registry ({:?}) and \
                         pull-from-mirror for per-mirror ({:?}) at the same time",
                        self.prefix, mirror.location
                    )));
                }
                "all" | "digest-only" | "tag-only" => {}
                other => {
                    return Err(bad(format!(
                        "unsupported pull-from-mirror value {other:?} for mirror {:?}",
                        mirror.location
                    )));
                }
            }
        }
        Ok(())
    }

    /// What its settings are about.
    fn place(&self) -> &str {
        if self.location.is_empty() { &self.prefix } else { &self.location }
    }

    /// The mirrors to ask for an image with or without a digest.
    pub(super) fn mirrors(&self, by_digest: bool) -> impl Iterator<Item = &Mirror> {
        self.mirror.iter().filter(move |mirror| match mirror.pull_from_mirror.as_str() {
            "digest-only" => by_digest,
            "tag-only" => !by_digest,
            _ => by_digest || !self.mirror_by_digest_only,
        })
    }
}

impl Mirror {
    /// One that is asked for every image.
    pub(super) fn new(location: String, insecure: bool) -> Mirror {
        Mirror { location, insecure, ..Mirror::default() }
    }
}

fn bad(why: String) -> Error {
    Error::new(Kind::Usage, why)
}

/// A prefix or location without slashes at its end.
fn trimmed(text: &str) -> Result<String> {
    if text.contains("://") {
        return Err(bad(format!("invalid location '{text}': URI schemes are not supported")));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn hosts(list: Vec<String>) -> Result<Vec<String>> {
    let host = |text: String| {
        let host = trimmed(&text)?;
        let name: Option<Reference> = format!("{host}/x").parse().ok();
        let is_host = !host.contains('/') && name.is_some_and(|name| name.registry().is_some());
        is_host
            .then_some(host)
            .ok_or_else(|| bad(format!("Invalid unqualified-search-registries entry {text:?}")))
    };
    list.into_iter().map(host).collect()
}

/// A short name, and the full one that it stands for.
fn alias((name, value): (String, String)) -> Result<(String, Option<Reference>)> {
    let fault = |what: String, why: &str| Err(bad(format!("validating short-name aliases: {what}: {why}")));
    let part = |parsed: &Reference| match (parsed.tag(), parsed.digest()) {
        (_, Some(_)) => Some("must not contain digest"),
        (Some(_), _) => Some("must not contain tag"),
        _ => None,
    };
    match name.parse::<Reference>() {
        Err(e) => return fault(format!("invalid short name {name:?}"), e.message()),
        Ok(short) => {
            let registry = short.registry().map(|_| "must not contain registry");
            if let Some(why) = part(&short).or(registry) {
                return fault(format!("invalid short name {name:?}"), why);
            }
        }
    }
    if value.is_empty() {
        return Ok((name, None));
    }
    match value.parse::<Reference>() {
        Err(e) => fault(format!("invalid alias {value:?}"), e.message()),
        Ok(full) => {
            let registry = full.registry().is_none().then_some("must contain registry and repository");
            match part(&full).or(registry) {
                Some(why) => fault(format!("invalid alias {value:?}"), why),
                None => Ok((name, Some(full))),
            }
        }
    }
}
