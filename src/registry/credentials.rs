//! Registry credentials: containers' `auth.json`, docker's `config.json`, credential helpers.
//!
//! All of this happens before the download process exists: helpers are programs, and a process with threads
//! never starts another (rule 1). Credentials are bound to the host for which they were found.

use super::places::Places;
use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use crate::sys::fd::command;
use base64::Engine as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The key under which docker stores what belongs to docker.io.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// In `credential-helpers`, the word for the credential files (containers-registries.conf(5)).
pub(super) const FILES: &str = "containers-auth.json";
/// The user name by which a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// A secret for one host.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name and a password.
    Password {
        /// The user name.
        user: String,
        /// The password.
        password: String,
    },
    /// An OAuth2 refresh token, exchanged for access tokens.
    Identity(String),
    /// A ready-made bearer token.
    Bearer(String),
}

impl std::fmt::Debug for Credentials {
    /// Keeps secrets out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl std::str::FromStr for Credentials {
    type Err = Error;
    /// Reads `user:password`, the form of `--creds`.
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => {
                Ok(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
            }
            _ => Err(Error::new(Kind::Usage, "credentials must be written user:password")),
        }
    }
}

/// The entries of the files, in order of precedence.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    files: Vec<AuthFile>,
    /// Where to look, in order: [`FILES`] or the name of a helper.
    order: Vec<String>,
    /// Credentials from the command line, for the registry that was named there only.
    given: Option<Credentials>,
}

/// One file of either form; docker's has `credsStore` and host keys, containers' has namespaced keys.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuthFile {
    auths: BTreeMap<String, Entry>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: String,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry(..)")
    }
}

/// What was found for a registry, and why there may be nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
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
    pub(super) fn load(
        places: &Places,
        order: Vec<String>,
        named: Option<&Path>,
        given: Option<Credentials>,
    ) -> Result<Keyring> {
        let mut files = Vec::new();
        if let Some(path) = named.or(places.auth_file.as_deref()) {
            let file = AuthFile::read(path)?.ok_or_else(|| {
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
            let standard = [
                places.runtime.as_ref().map(|d| d.join("auth.json")),
                Some(places.user.join("auth.json")),
                places.docker.as_ref().map(|d| d.join("config.json")),
            ];
            for path in standard.into_iter().flatten() {
                files.extend(AuthFile::read(&path)?);
            }
        }
        Ok(Keyring { files, order, given })
    }

    /// The credentials for one physical reference; `named` says that this is the registry the user
    /// wrote (and not a mirror), which is the only one that `--creds` is for. May run a helper.
    pub(super) fn find(&self, reference: &Reference, named: bool) -> Found {
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
            FILES => self.files.iter().find_map(|file| told(file.find(reference))),
            helper => told(ask_helper(helper, helper_key(reference))),
        });
        Found { credentials, trouble }
    }

    /// What the files say about bare hosts, without asking helpers: lets a user allow a token server
    /// on a foreign host by an entry of its own.
    pub(super) fn hosts(&self) -> BTreeMap<String, Credentials> {
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

impl AuthFile {
    fn read(path: &Path) -> Result<Option<AuthFile>> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(e)
                if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(e) => {
                return Err(
                    Error::new(Kind::Usage, format!("read credentials file {}", path.display())).caused_by(e)
                );
            }
        };
        let bad = |e: serde_json::Error| {
            // The parser's message could quote a secret: say the place only.
            Error::new(
                Kind::Usage,
                format!(
                    "{} is not a credentials file (line {}, column {})",
                    path.display(),
                    e.line(),
                    e.column()
                ),
            )
            .hint("Write it again with `podman login` or `docker login`.")
        };
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let mut file: AuthFile = serde_json::from_slice(&text).map_err(bad)?;
        file.path = path.to_owned();
        Ok(Some(file))
    }

    fn find(&self, reference: &Reference) -> Result<Option<Credentials>> {
        let Some(host) = reference.registry() else { return Ok(None) };
        let hub = host == "docker.io";
        let aliases: &[&str] = if hub { &["docker.io", DOCKER_HUB_KEY, "index.docker.io"] } else { &[host] };
        for key in aliases {
            if let Some(helper) = self.helpers.get(*key) {
                return ask_helper(helper, helper_key(reference));
            }
        }
        // Most specific first: host/a/b, host/a, host.
        let repository = reference.repository();
        let mut scope = repository.as_str();
        loop {
            if let Some((key, entry)) = self.auths.get_key_value(scope)
                && let Some(found) = entry.read(&self.path, key)?
            {
                return Ok(Some(found));
            }
            match scope.rsplit_once('/') {
                Some((shorter, _)) => scope = shorter,
                None => break,
            }
        }
        for (key, entry) in &self.auths {
            let known = key_host(key) == host || (hub && aliases.contains(&key_host(key)));
            if known
                && key.as_str() != host
                && let Some(found) = entry.read(&self.path, key)?
            {
                return Ok(Some(found));
            }
        }
        if self.store.is_empty() {
            return Ok(None);
        }
        ask_helper(&self.store, helper_key(reference))
    }
}

/// The host a legacy key stands for: `https://host/v1/` is `host`; namespaced keys are left whole.
fn key_host(key: &str) -> &str {
    match key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        Some(rest) => rest.split('/').next().unwrap_or(rest),
        None => key,
    }
}

impl Entry {
    fn read(&self, path: &Path, key: &str) -> Result<Option<Credentials>> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credentials::Identity(self.identitytoken.clone())));
        }
        if !self.registrytoken.is_empty() {
            return Ok(Some(Credentials::Bearer(self.registrytoken.clone())));
        }
        if !self.username.is_empty() {
            let (user, password) = (self.username.clone(), self.password.clone());
            return Ok(Some(Credentials::Password { user, password }));
        }
        if self.auth.is_empty() {
            return Ok(None);
        }
        let bad = || {
            Error::new(
                Kind::Usage,
                format!("the entry for {key} in {} is not base64 of user:password", path.display()),
            )
        };
        let engine = base64::engine::general_purpose::STANDARD;
        let bytes = engine.decode(self.auth.trim()).map_err(|_| bad())?;
        let text = String::from_utf8(bytes).map_err(|_| bad())?;
        // Docker pads with NUL bytes in old files.
        let (user, password) = text.trim_end_matches('\0').split_once(':').ok_or_else(bad)?;
        Ok(Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() }))
    }
}

#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// The name a helper knows a registry by.
fn helper_key(reference: &Reference) -> &str {
    match reference.registry() {
        Some("docker.io") => DOCKER_HUB_KEY,
        Some(host) => host,
        None => "",
    }
}

/// Runs `docker-credential-NAME get` (docker/docker-credential-helpers, Development).
fn ask_helper(name: &str, server: &str) -> Result<Option<Credentials>> {
    let program = format!("docker-credential-{name}");
    let failed = || Error::new(Kind::Host, format!("credential helper {program} for {server}"));
    if name.is_empty() || name.contains('/') {
        return Err(failed().caused_by(Error::new(Kind::Usage, "the name must not contain a slash")));
    }
    let mut child = command(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed().caused_by(e))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that ends early says so by its exit code.
        let _ = input.write_all(server.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| failed().caused_by(e))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(Error::new(Kind::Host, format!("{}: {said}", failed().message())));
    }
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
        .map_err(|_| Error::new(Kind::Host, format!("{}: its answer is not JSON", failed().message())))?;
    Ok(match answer {
        HelperAnswer { user, secret } if user == TOKEN_USER => Some(Credentials::Identity(secret)),
        HelperAnswer { user, .. } if user.is_empty() => None,
        HelperAnswer { user, secret } => Some(Credentials::Password { user, password: secret }),
    })
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
