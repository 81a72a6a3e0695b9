//! Looking credentials up.

use super::file::{AuthFile, aliases, key_host};
use super::helper;
use super::key::HUB_KEY;
use super::secret::Credentials;
use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use crate::registry::places::Places;
use std::collections::BTreeMap;
use std::path::Path;

/// In `credential-helpers`, the word for the credential files (containers-registries.conf(5)).
pub(in crate::registry) const FILES: &str = "containers-auth.json";

/// The entries of the files, in order of precedence.
#[derive(Debug, Default)]
pub(in crate::registry) struct Keyring {
    pub(super) files: Vec<AuthFile>,
    /// Where to look, in order: [`FILES`] or the name of a helper.
    order: Vec<String>,
    /// Credentials from the command line, for the registry that was named there only.
    given: Option<Credentials>,
}

/// What was found for a registry, and why there may be nothing.
#[derive(Debug, Clone, Default)]
pub(in crate::registry) struct Found {
    /// The credentials to use.
    pub credentials: Option<Credentials>,
    /// A helper that should have known and failed; said only if the registry refuses us.
    pub trouble: Option<String>,
}

impl Keyring {
    /// Reads the credential files. A file named by the user must exist.
    ///
    /// # Errors
    /// A named file that is missing, or any file that is not JSON of the known form.
    pub(in crate::registry) fn load(
        places: &Places,
        order: Vec<String>,
        named: Option<&Path>,
        given: Option<Credentials>,
    ) -> Result<Keyring> {
        let mut files = Vec::new();
        if let Some(path) = named.or(places.auth_file.as_deref()) {
            let file = AuthFile::read(path, true)?.ok_or_else(|| {
                Error::new(
                    Kind::Usage,
                    format!(
                        "credential file is not accessible: faccessat {}: no such file or directory",
                        path.display()
                    ),
                )
                .hint("Name an existing file with --authfile, or unset REGISTRY_AUTH_FILE.")
            })?;
            files.push(file);
        } else {
            for path in places.auth_files() {
                files.extend(AuthFile::read(&path, false)?);
            }
        }
        Ok(Keyring { files, order, given })
    }

    /// The credentials for one physical reference; `named` says that this is the registry the user
    /// wrote (and not a mirror), which is the only one that `--creds` is for. May run a helper.
    pub(in crate::registry) fn find(&self, reference: &Reference, named: bool) -> Found {
        if named && let Some(given) = &self.given {
            return Found { credentials: Some(given.clone()), trouble: None };
        }
        let mut trouble = None;
        let mut told = |answer: Result<Option<Credentials>>| {
            answer.unwrap_or_else(|e| {
                log::warn!("{}", e.in_one_line());
                trouble.get_or_insert(e.to_string());
                None
            })
        };
        let credentials = self.order.iter().find_map(|place| match place.as_str() {
            FILES => self.files.iter().find_map(|file| told(find(file, reference))),
            name => told(helper::get(name, helper_key(reference))),
        });
        Found { credentials, trouble }
    }

    /// What the files say about bare hosts, without asking helpers: lets a user allow a token server
    /// on a foreign host by an entry of its own.
    pub(in crate::registry) fn hosts(&self) -> BTreeMap<String, Credentials> {
        let mut all = BTreeMap::new();
        for file in self.files.iter().rev() {
            for (key, entry) in &file.auths {
                let host = key_host(key);
                if let (false, Ok(Some(found))) = (host.contains('/'), entry.read(&file.path, key)) {
                    all.insert(host.to_owned(), found);
                }
            }
        }
        all
    }
}

/// What one file knows of a repository.
fn find(file: &AuthFile, reference: &Reference) -> Result<Option<Credentials>> {
    let Some(host) = reference.registry() else { return Ok(None) };
    let aliases = aliases(&host);
    for key in aliases {
        if let Some(name) = file.helpers.get(*key) {
            return helper::get(name, helper_key(reference));
        }
    }
    // Most specific first: host/a/b, host/a, host.
    let repository = reference.repository();
    let mut scope = repository.as_str();
    loop {
        if let Some((key, entry)) = file.auths.get_key_value(scope)
            && let Some(found) = entry.read(&file.path, key)?
        {
            return Ok(Some(found));
        }
        match scope.rsplit_once('/') {
            Some((shorter, _)) => scope = shorter,
            None => break,
        }
    }
    for (key, entry) in &file.auths {
        if aliases.contains(&key_host(key))
            && key.as_str() != host
            && let Some(found) = entry.read(&file.path, key)?
        {
            return Ok(Some(found));
        }
    }
    if file.store.is_empty() {
        return Ok(None);
    }
    helper::get(&file.store, helper_key(reference))
}

/// The name a helper knows a registry by.
fn helper_key(reference: &Reference) -> &str {
    match reference.registry() {
        Some("docker.io") => HUB_KEY,
        Some(host) => host,
        None => "",
    }
}
