//! Secrets: small values that containers are given and nobody is shown.
//!
//! `secrets/<name>/secret.json` describes one and `secrets/<name>/value` is what it says, mode 0600 in a
//! directory of mode 0700, beside images, layers and volumes and never inside them. A secret is made in
//! `tmp/` and renamed, or exchanged with the one it replaces, so readers see one value or the other.

use super::containers::Containers;
use super::events::{Action, Event, Events, Type};
use super::record::{self, Durability, failed};
use super::{Roots, trash};
use crate::container::Name;
use crate::error::{Error, Kind, Result};
use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest value, in bytes (podman-secret-create(1)).
pub const VALUE_MAX: usize = 512_000;

/// The driver that every secret has: a file, unencrypted.
pub const FILE: &str = "file";

/// Digits of an identifier, as podman's.
const ID_LENGTH: usize = 25;

/// A secret without its value; the content of `secret.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The record's form, 1.
    pub version: u32,
    /// 25 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: Name,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When its value was last replaced.
    pub updated: DateTime<Utc>,
    /// `file`.
    pub driver: String,
    /// Options of the driver, as given.
    #[serde(default)]
    pub driver_options: BTreeMap<String, String>,
    /// User labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Secret {
    /// A secret that does not exist yet.
    ///
    /// # Errors
    /// When the kernel has no random bytes.
    pub fn new(name: Name) -> Result<Secret> {
        let now = Utc::now();
        let id = Containers::new_id()?.as_str().chars().take(ID_LENGTH).collect();
        let (driver_options, labels) = (BTreeMap::new(), BTreeMap::new());
        Ok(Secret {
            version: 1,
            id,
            name,
            created: now,
            updated: now,
            driver: FILE.to_owned(),
            driver_options,
            labels,
        })
    }
}

/// The secrets of a store.
#[derive(Debug, Clone)]
pub struct Secrets {
    roots: Arc<Roots>,
}

impl Secrets {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Secrets { roots }
    }

    /// Where values and records are, absolute.
    pub fn path(&self) -> PathBuf {
        self.roots.data.join("secrets")
    }

    fn dir(&self, name: &Name) -> PathBuf {
        self.path().join(name.as_str())
    }

    /// Makes a secret; with `replace`, one of this name gets the new value and keeps its identifier.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a value that is empty or too large; [`Kind::Conflict`] when the name is taken.
    pub fn create(&self, mut secret: Secret, value: &[u8], replace: bool) -> Result<Secret> {
        if value.is_empty() || value.len() > VALUE_MAX {
            let why = format!(
                "the value of secret {} has {} bytes, not 1 to {VALUE_MAX}",
                secret.name,
                value.len()
            );
            return Err(Error::new(Kind::Usage, why));
        }
        private_dir(&self.path())?;
        if replace && let Some(old) = self.get(&secret.name)? {
            (secret.id, secret.created) = (old.id, old.created);
        }
        let temporary = self.roots.data.join("tmp").join(record::unique());
        let made = self.fill(&temporary, &secret, value, replace);
        // What is left there now is what was replaced, or a failed attempt.
        let _ = trash::remove_path(&temporary);
        made?;
        let told = Event::new(Type::Secret, Action::Create).id(secret.id.as_str()).name(secret.name.as_str());
        Events::new(&self.roots.data).emit(told);
        Ok(secret)
    }

    fn fill(&self, temporary: &Path, secret: &Secret, value: &[u8], replace: bool) -> Result<()> {
        private_dir(temporary)?;
        record::replace_bytes(&temporary.join("value"), value, Durability::Synced)?;
        record::replace(&temporary.join("secret.json"), secret, Durability::Synced)?;
        let target = self.dir(&secret.name);
        let rename = |flags| renameat2(AT_FDCWD, temporary, AT_FDCWD, &target, flags);
        let renamed = match rename(RenameFlags::RENAME_NOREPLACE) {
            Err(Errno::EEXIST) if replace => rename(RenameFlags::RENAME_EXCHANGE),
            other => other,
        };
        match renamed {
            Ok(()) => record::sync_dir(&self.path()),
            Err(Errno::EEXIST) => {
                Err(Error::new(Kind::Conflict, format!("secret {} exists already", secret.name)).hint(
                    format!(
                        "Give it a new value with --replace, or remove it: coracle secret rm {}",
                        secret.name
                    ),
                ))
            }
            Err(e) => Err(failed("create", &target, e.into())),
        }
    }

    /// The secret of this name.
    ///
    /// # Errors
    /// When its record is damaged.
    pub fn get(&self, name: &Name) -> Result<Option<Secret>> {
        record::read(&self.dir(name).join("secret.json"))
    }

    /// Finds a secret by name, identifier or unique beginning of an identifier, in this order.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Usage`] when several identifiers begin so.
    pub fn find(&self, text: &str) -> Result<Secret> {
        if let Ok(name) = text.parse::<Name>()
            && let Some(secret) = self.get(&name)?
        {
            return Ok(secret);
        }
        let mut found = self.list()?;
        found.retain(|secret| !text.is_empty() && secret.id.starts_with(text));
        match (found.pop(), found.len()) {
            (Some(secret), 0) => Ok(secret),
            (None, _) => Err(Error::new(Kind::NotFound, format!("no secret with name or id {text:?}"))
                .hint("List the secrets: coracle secret ls; make one: coracle secret create NAME FILE")),
            (Some(_), others) => {
                Err(Error::new(Kind::Usage, format!("{} secret ids begin with {text:?}", others + 1))
                    .hint("Give more digits; list them with: coracle secret ls"))
            }
        }
    }

    /// All secrets, by name.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Secret>> {
        let dir = self.path();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            // Stores of earlier versions have none until the first one is made.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed("read", &dir, e)),
        };
        let mut all = Vec::new();
        for entry in entries.flatten() {
            all.extend(record::read::<Secret>(&entry.path().join("secret.json"))?);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// What a secret says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn value(&self, name: &Name) -> Result<Vec<u8>> {
        let path = self.dir(name).join("value");
        fs::read(&path).map_err(|e| failed("read", &path, e))
    }

    /// Removes a secret, value and all, at once.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self, name: &Name) -> Result<()> {
        let temporary = self.roots.data.join("tmp").join(record::unique());
        let dir = self.dir(name);
        let id = self.get(name)?.map(|secret| secret.id.to_string()).unwrap_or_default();
        match fs::rename(&dir, &temporary) {
            Ok(()) => {
                Events::new(&self.roots.data)
                    .emit(Event::new(Type::Secret, Action::Remove).id(id).name(name.as_str()));
                trash::remove_path(&temporary)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(failed("remove", &dir, e)),
        }
    }
}

/// Copies secrets into a container's own directory, so that what happens to them later is nothing to it.
///
/// # Errors
/// When one is gone or the file system refuses.
pub fn copy_to(secrets: &Secrets, names: &[&Name], container: &Path) -> Result<()> {
    let dir = container.join("secrets");
    private_dir(&dir)?;
    for name in names {
        record::replace_bytes(&dir.join(name.as_str()), &secrets.value(name)?, Durability::Volatile)?;
    }
    Ok(())
}

/// What a secret said when the container in this directory was made.
///
/// # Errors
/// When it cannot be read.
pub fn of_container(container: &Path, name: &Name) -> Result<Vec<u8>> {
    let path = container.join("secrets").join(name.as_str());
    fs::read(&path).map_err(|e| failed("read", &path, e))
}

fn private_dir(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(failed("create", path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing::Scene;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_kept_private_replaced_and_removed() {
        let scene = Scene::new();
        let secrets = scene.store.secrets();
        assert!(secrets.list().unwrap().is_empty());
        let name: Name = "key".parse().unwrap();
        let made = secrets.create(Secret::new(name.clone()).unwrap(), b"one", false).unwrap();
        assert_eq!(
            secrets.create(Secret::new(name.clone()).unwrap(), b"x", false).unwrap_err().kind(),
            Kind::Conflict
        );
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(secrets.path().join("key")), 0o700);
        assert_eq!(mode(secrets.path().join("key/value")), 0o600);
        assert_eq!(secrets.find(&made.id[..4]).unwrap(), made);
        let again = secrets.create(Secret::new(name.clone()).unwrap(), b"two", true).unwrap();
        assert_eq!((&again.id, again.created), (&made.id, made.created));
        assert_eq!(secrets.value(&name).unwrap(), b"two");
        for wrong in [&b""[..], &[0; VALUE_MAX + 1]] {
            assert_eq!(secrets.create(again.clone(), wrong, true).unwrap_err().kind(), Kind::Usage);
        }
        secrets.remove(&name).unwrap();
        assert_eq!(secrets.find("key").unwrap_err().kind(), Kind::NotFound);
        scene.assert_clean();
    }
}
