//! Credentials files, as they are read.

use super::key::{HUB_KEY, LoginKey};
use super::secret::Credentials;
use crate::error::{Error, Kind, Result};
use crate::sys::read;
use base64::Engine as _;
use nix::fcntl::OFlag;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Largest credentials file, in bytes.
const SIZE_MAX: u64 = read::SETTINGS_MAX;

/// One file of either form; docker's has `credsStore` and host keys, containers' has namespaced keys.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthFile {
    pub(super) auths: BTreeMap<String, Entry>,
    #[serde(rename = "credHelpers")]
    pub(super) helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    pub(super) store: String,
    #[serde(skip)]
    pub(super) path: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
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

impl AuthFile {
    /// Reads a file; `None` if it is not there. It must be a regular file; where the user names one it may also be a
    /// pipe that this process was given (`<(...)`).
    ///
    /// # Errors
    /// A file that cannot be read, is too large, or is not JSON of the known form.
    pub(super) fn read(path: &Path, named: bool) -> Result<Option<AuthFile>> {
        match bytes(path, named)? {
            Some(text) => AuthFile::parse(&text, path).map(Some),
            None => Ok(None),
        }
    }

    /// The same of its contents.
    ///
    /// # Errors
    /// As [`AuthFile::read`].
    pub(super) fn parse(text: &[u8], path: &Path) -> Result<AuthFile> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(AuthFile { path: path.to_owned(), ..AuthFile::default() });
        }
        let mut file: AuthFile = serde_json::from_slice(text).map_err(|e| {
            // The parser's message could quote a secret: say the place only.
            let place = format!("line {}, column {}", e.line(), e.column());
            Error::new(Kind::Usage, format!("{} is not a credentials file ({place})", path.display()))
                .hint("Mend or remove it, then log in again: coracle login REGISTRY")
        })?;
        file.path = path.to_owned();
        Ok(file)
    }

    /// The helper that the file leaves a registry to.
    pub(super) fn helper(&self, key: &LoginKey) -> Option<&str> {
        let own = [key.registry(), key.docker()].iter().find_map(|name| self.helpers.get(*name));
        own.or(Some(&self.store)).map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// The contents of a credentials file; `None` if it is not there.
///
/// # Errors
/// As [`AuthFile::read`].
pub(super) fn bytes(path: &Path, named: bool) -> Result<Option<Vec<u8>>> {
    let failed = |e: std::io::Error| {
        Error::new(Kind::Usage, format!("read credentials file {}", path.display())).caused_by(e)
    };
    let refused = |why: String| Error::new(Kind::Usage, format!("credentials file {} {why}", path.display()));
    // Opening a FIFO would wait for somebody to write. A pipe that was handed to us is open already.
    let handed = named && ["/dev/fd", "/proc/self/fd"].iter().any(|dir| path.starts_with(dir));
    let wait = if handed { OFlag::empty() } else { OFlag::O_NONBLOCK };
    let opened = File::options().read(true).custom_flags(wait.bits()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() || !(about.is_file() || handed || read::is_null(&about)) {
        return Err(refused("is not a regular file".to_owned()));
    }
    let mut text = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > SIZE_MAX {
        return Err(refused(format!("is larger than {} MiB", SIZE_MAX >> 20)));
    }
    Ok(Some(text))
}

/// The host a legacy key stands for: `https://host/v1/` is `host`; namespaced keys are left whole.
pub(super) fn key_host(key: &str) -> &str {
    match key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        Some(rest) => rest.split('/').next().unwrap_or(rest),
        None => key,
    }
}

/// The keys of a host in the files.
pub(super) fn aliases<'a>(host: &'a &'a str) -> &'a [&'a str] {
    if *host == "docker.io" { &["docker.io", HUB_KEY, "index.docker.io"] } else { std::slice::from_ref(host) }
}

impl Entry {
    /// The secret in an entry, which may have none.
    ///
    /// # Errors
    /// A secret that is not of the known form.
    pub(super) fn read(&self, path: &Path, key: &str) -> Result<Option<Credentials>> {
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
            let message = format!("the entry for {key} in {} is not base64 of user:password", path.display());
            Error::new(Kind::Usage, message)
        };
        let engine = base64::engine::general_purpose::STANDARD;
        let bytes = engine.decode(self.auth.trim()).map_err(|_| bad())?;
        let text = String::from_utf8(bytes).map_err(|_| bad())?;
        // Docker pads with NUL bytes in old files.
        let (user, password) = text.trim_end_matches('\0').split_once(':').ok_or_else(bad)?;
        Ok(Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() }))
    }
}
