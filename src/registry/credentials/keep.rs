//! Keeping what a login has verified, and forgetting it.
//!
//! Podman keeps logins in `$XDG_RUNTIME_DIR`, and they are gone after the next start of the machine. Ours are kept in
//! `~/.config/containers/auth.json`, which podman, buildah and skopeo read as well. An older entry in a file that is
//! read before that one would hide the new one, so it is replaced, too.

use super::file::AuthFile;
use super::key::LoginKey;
use super::keyring::{FILES, Keyring};
use super::secret::Credentials;
use super::{edit, file, helper};
use crate::error::{Error, Kind, Result};
use crate::registry::conf::Registries;
use crate::registry::places::Places;
use crate::registry::rewrite::rewrite;
use base64::Engine as _;
use std::path::{Path, PathBuf};

/// Keeps credentials in files and helpers.
#[derive(Debug)]
pub struct Keeper {
    /// Where to keep, in order: [`FILES`] or the name of a helper.
    order: Vec<String>,
    /// The file that new entries go to.
    file: PathBuf,
    /// Files that are read before it.
    before: Vec<PathBuf>,
    /// Those of them that are of the same kind, and that a logout is about too.
    own: Vec<PathBuf>,
    /// Whether the file has docker's form: no namespaces, another key for docker.io.
    docker: bool,
    /// What is known already.
    keyring: Keyring,
}

/// Where credentials were put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The file or the helper.
    pub place: String,
    /// Anybody who can read the file can read the password.
    pub in_clear: bool,
}

/// What came of forgetting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// There was an entry, and it is gone.
    Removed,
    /// There is an entry, but in a file of docker's.
    Elsewhere,
    /// There was none.
    Unknown,
}

impl Keeper {
    /// Keeps in the file named by the user or in the usual one, of docker's form or of containers'.
    ///
    /// # Errors
    /// Configuration or credentials files that cannot be read.
    pub fn new(places: &Places, named: Option<&Path>, docker: bool) -> Result<Keeper> {
        let order = match docker {
            true => vec![FILES.to_owned()],
            false => Registries::load(places)?.credential_helpers(),
        };
        let chosen = named.or(places.auth_file.as_deref().filter(|_| !docker));
        let usual = if docker { places.docker.as_ref().map(|d| d.join("config.json")) } else { None };
        let file = chosen.map(Path::to_owned).or(usual).unwrap_or_else(|| places.user.join("auth.json"));
        let before: Vec<PathBuf> = match chosen {
            Some(_) => Vec::new(),
            None => places.auth_files().into_iter().take_while(|path| *path != file).collect(),
        };
        let own = if docker { Vec::new() } else { before.clone() };
        let keyring = match chosen {
            // It is made by the first login.
            Some(path) if !path.exists() => Keyring::default(),
            _ => Keyring::load(places, order.clone(), chosen, None)?,
        };
        Ok(Keeper { order, file, before, own, docker, keyring })
    }

    /// What is known of a registry or namespace. May run a helper.
    ///
    /// # Errors
    /// None for a key that was parsed.
    pub fn current(&self, key: &LoginKey) -> Result<Option<Credentials>> {
        Ok(self.keyring.find(&key.reference()?, true).credentials)
    }

    /// Keeps a user name and password.
    ///
    /// # Errors
    /// Files that cannot be written, helpers that fail; [`Kind::Usage`] for a namespace that docker's file cannot have.
    pub fn keep(&self, key: &LoginKey, user: &str, password: &str) -> Result<Kept> {
        if self.docker && key.is_namespace() {
            return Err(Error::new(
                Kind::Usage,
                format!("{key}: credentials for repositories (not registries) are not supported in a Docker-compatible auth file"),
            )
            .hint(format!("Log in to the registry as a whole: coracle login {}", key.registry())));
        }
        let mut failure = None;
        for place in &self.order {
            let kept = match place.as_str() {
                FILES => self.keep_in_file(key, user, password),
                // Helpers know registries only.
                _ if key.is_namespace() => continue,
                name => helper::store(name, key, user, password).map(|()| helped(name)),
            };
            match kept {
                Ok(kept) => {
                    let auth = auth(user, password);
                    self.replace_older(key, kept.in_clear.then_some(auth.as_str()))?;
                    return Ok(kept);
                }
                Err(e) => failure = failure.or(Some(e)),
            }
        }
        Err(failure.unwrap_or_else(|| {
            Error::new(Kind::Usage, format!("no credential helper of registries.conf can keep {key}"))
                .hint("Add \"containers-auth.json\" to credential-helpers in registries.conf.")
        }))
    }

    fn keep_in_file(&self, key: &LoginKey, user: &str, password: &str) -> Result<Kept> {
        let entry = if self.docker { key.docker() } else { key.as_str() };
        let file = AuthFile::read(&self.file, false)?.unwrap_or_default();
        if let Some(name) = file.helper(key).filter(|_| !key.is_namespace()) {
            helper::store(name, key, user, password)?;
            // Docker notes whom its helper knows; a password from before there was a helper goes away.
            update(&self.file, |text, _| match self.docker {
                true => edit::set(text, entry, None).map(Some),
                false => edit::remove(text, Some(&key.spellings())),
            })?;
            return Ok(helped(name));
        }
        let auth = auth(user, password);
        update(&self.file, |text, _| edit::set(text, entry, Some(&auth)).map(Some))?;
        Ok(Kept { place: self.file.display().to_string(), in_clear: true })
    }

    /// Brings entries up to date that would be found before the new one.
    fn replace_older(&self, key: &LoginKey, auth: Option<&str>) -> Result<()> {
        let keys = key.spellings();
        for path in &self.before {
            update(path, |text, file| {
                let known: Vec<&String> = keys.iter().filter(|key| file.auths.contains_key(*key)).collect();
                match auth {
                    _ if known.is_empty() => Ok(None),
                    None => edit::remove(text, Some(&keys)),
                    Some(auth) => known
                        .into_iter()
                        .try_fold(text.to_owned(), |text, key| edit::set(&text, key, Some(auth)))
                        .map(Some),
                }
            })?;
        }
        Ok(())
    }

    /// Forgets a registry or namespace.
    ///
    /// # Errors
    /// Files that cannot be written, helpers that fail.
    pub fn forget(&self, key: &LoginKey) -> Result<Forgotten> {
        let (keys, mut removed) = (key.spellings(), false);
        for place in &self.order {
            if place != FILES {
                removed |= !key.is_namespace() && erase_known(place, key)?;
                continue;
            }
            for path in self.files() {
                let file = AuthFile::read(path, false)?.unwrap_or_default();
                if let Some(name) = file.helper(key).filter(|_| !key.is_namespace()) {
                    removed |= erase_known(name, key)?;
                }
                removed |= update(path, |text, _| edit::remove(text, Some(&keys)))?;
            }
        }
        if removed {
            return Ok(Forgotten::Removed);
        }
        Ok(if self.current(key)?.is_some() { Forgotten::Elsewhere } else { Forgotten::Unknown })
    }

    /// Forgets every registry.
    ///
    /// # Errors
    /// As [`Keeper::forget`]; what can be forgotten is.
    pub fn forget_all(&self) -> Result<()> {
        let mut outcome = Ok(());
        let mut note = |done: Result<()>| outcome = std::mem::replace(&mut outcome, Ok(())).and(done);
        for place in &self.order {
            if place != FILES {
                note(erase_all(place));
                continue;
            }
            for path in self.files() {
                let file = AuthFile::read(path, false)?.unwrap_or_default();
                if !file.store.is_empty() {
                    note(erase_all(&file.store));
                }
                for (server, name) in &file.helpers {
                    note(helper::erase(name, server).map(drop));
                }
                note(update(path, |text, _| edit::remove(text, None)).map(drop));
            }
        }
        outcome
    }

    /// The files that a logout is about.
    fn files(&self) -> impl Iterator<Item = &Path> {
        self.own.iter().chain(std::iter::once(&self.file)).map(PathBuf::as_path)
    }
}

/// Changes a file's text by `change`, which gets its contents, too; whether there was anything to change.
fn update(path: &Path, mut change: impl FnMut(&str, &AuthFile) -> Result<Option<String>>) -> Result<bool> {
    rewrite(path, "credentials file", |path| {
        let bytes = file::bytes(path, false)?.unwrap_or_default();
        let parsed = AuthFile::parse(&bytes, path)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::new(Kind::Usage, format!("{} is not UTF-8 text", path.display())))?;
        change(&text, &parsed)
    })
}

fn helped(name: &str) -> Kept {
    Kept { place: format!("docker-credential-{name}"), in_clear: false }
}

/// Helpers do not say whether they knew what they were told to erase.
fn erase_known(name: &str, key: &LoginKey) -> Result<bool> {
    Ok(helper::get(name, key.docker())?.is_some() && helper::erase(name, key.docker())?)
}

fn erase_all(name: &str) -> Result<()> {
    helper::list(name)?.iter().try_for_each(|server| helper::erase(name, server).map(drop))
}

/// An entry's secret as both forms have it.
fn auth(user: &str, password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}
