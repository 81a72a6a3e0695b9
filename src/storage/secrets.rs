//! Secrets: small values that are given to containers and not shown.
//!
//! `secrets/<name>/secret.json` describes a secret and `secrets/<name>/value` is its value, mode 0600 in a
//! directory of mode 0700, next to images, layers and volumes and never inside them. A secret is created in
//! `tmp/` and renamed, or exchanged with the one it replaces, so readers see either value.

use super::containers::Containers;
use super::events::{Action, Event, Events, Type};
use super::lock::ExclusiveLock;
use super::place::{self, Place, TMP};
use super::record::{self, Durability, failed, read_bytes, replace_in, warn_once};
use super::roots::Roots;
use super::scratch::Scratch;
use super::trash;
use crate::container::Name;
use crate::error::{Error, Kind, Result, phrases};
use crate::failpoint;
use crate::sys::fd::open_within;
use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, mkdirat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

/// Largest value, in bytes (podman-secret-create(1)).
pub const VALUE_MAX: usize = 512_000;

/// The driver that every secret has: a file, unencrypted.
pub const FILE: &str = "file";

/// The record of a secret in its directory.
const RECORD: &str = "secret.json";
/// The value of a secret in its directory.
const VALUE: &str = "value";
/// The directory of copies in a container's.
const COPIES: &str = "secrets";

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
        let secrets = Place::make(&self.path())?;
        if replace && let Some(old) = self.get(&secret.name)? {
            (secret.id, secret.created) = (old.id, old.created);
        }
        self.fill(Scratch::below(&self.roots.data)?, &secrets, &secret, (value, replace))?;
        let told = Event::new(Type::Secret, Action::Create).id(secret.id.as_str()).name(secret.name.as_str());
        Events::new(&self.roots.data).emit(told);
        Ok(secret)
    }

    /// Whole in `tmp/` first: the rename into place, or the exchange with the old one, is the one step that counts.
    fn fill(
        &self,
        mut made: Scratch,
        secrets: &Place,
        secret: &Secret,
        (value, replace): (&[u8], bool),
    ) -> Result<()> {
        made.home().replace_bytes(VALUE, value, Durability::Synced)?;
        made.home().replace(RECORD, secret, Durability::Synced)?;
        failpoint::reach("secret.filled");
        let name = secret.name.as_str();
        let renamed = match made.place_new(secrets, name) {
            Err(Errno::EEXIST) if replace => made.exchange(secrets, name),
            other => other,
        };
        match renamed {
            Ok(()) => {
                failpoint::reach("secret.placed");
                secrets.sync()
            }
            Err(Errno::EEXIST) => {
                Err(Error::new(Kind::Conflict, format!("secret {} exists already", secret.name)).hint(
                    format!(
                        "Give it a new value with --replace, or remove it: coracle secret rm {}",
                        secret.name
                    ),
                ))
            }
            Err(e) => Err(failed("create", &self.dir(&secret.name), e.into())),
        }
    }

    /// The secret of this name.
    ///
    /// # Errors
    /// When its record is damaged.
    pub fn get(&self, name: &Name) -> Result<Option<Secret>> {
        match Place::find(&self.dir(name))? {
            Some(dir) => dir.read(RECORD),
            None => Ok(None),
        }
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
            (None, _) => Err(phrases::no_secret(text)
                .hint("List the secrets: coracle secret ls; make one: coracle secret create NAME FILE")),
            (Some(_), others) => {
                Err(Error::new(Kind::Usage, format!("{} secret ids begin with {text:?}", others + 1))
                    .hint("Give more digits; list them with: coracle secret ls"))
            }
        }
    }

    /// All secrets, by name. Of one whose record cannot be read a warning tells.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Secret>> {
        // Stores of earlier versions have none until the first one is made.
        let Some(place) = Place::find(&self.path())? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for name in place.names()? {
            let Ok(name) = name.parse::<Name>() else { continue };
            match self.get(&name) {
                Ok(found) => all.extend(found),
                Err(error) => warn_once(
                    &format!("secret {name}"),
                    &format!(
                        "secret {name} is left alone: {}. Set it aside: coracle system check --repair; or \
                         remove it: coracle secret rm {name}",
                        error.in_one_line()
                    ),
                ),
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The name of the secret that is meant, which may be one whose record cannot be read.
    ///
    /// # Errors
    /// As [`Secrets::find`].
    pub fn find_name(&self, text: &str) -> Result<Name> {
        match text.parse::<Name>() {
            Ok(name) if self.get(&name).is_err() => Ok(name),
            _ => self.find(text).map(|secret| secret.name),
        }
    }

    /// Entries that are not secrets, or have unreadable records: their names, and what is wrong.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn damaged(&self) -> Result<Vec<(String, String)>> {
        let Some(place) = Place::find(&self.path())? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for name in place.names()? {
            let Some(found) = place.look(&name)? else { continue };
            let what = match name.parse::<Name>() {
                _ if !place::is(&found, SFlag::S_IFDIR) => "it is not a directory".to_owned(),
                Err(_) => "its name is not valid for a secret".to_owned(),
                Ok(name) => match self.get(&name) {
                    Err(error) => error.in_one_line(),
                    Ok(None) if place.look(name.as_str())?.is_some() => "it has no secret.json".to_owned(),
                    Ok(_) => continue,
                },
            };
            all.push((name, what));
        }
        Ok(all)
    }

    /// Puts a damaged secret out of the way, value and all; says what was done.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn mend(&self, _lock: &ExclusiveLock, name: &str) -> Result<String> {
        if !self.damaged()?.iter().any(|(still, _)| still == name) {
            return Ok("is whole again".to_owned());
        }
        let to = Place::open(&self.path())?.set_aside(name, &self.roots.data)?;
        Ok(format!("set aside as {}", to.display()))
    }

    /// What a secret says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn value(&self, name: &Name) -> Result<Vec<u8>> {
        let path = self.dir(name);
        read_value(Place::open(&path)?.as_fd(), VALUE).map_err(|e| failed("read", &path.join(VALUE), e))
    }

    /// Removes a secret, value and all, at once.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self, name: &Name) -> Result<()> {
        let Some(secrets) = Place::find(&self.path())? else { return Ok(()) };
        let (tmp, temporary) = (Place::make(&self.roots.data.join(TMP))?, record::unique());
        let id = self.get(name).ok().flatten().map(|secret| secret.id).unwrap_or_default();
        match secrets.rename(name.as_str(), &tmp, &temporary) {
            Ok(()) => {
                crate::failpoint::reach("secret.moved");
                Events::new(&self.roots.data)
                    .emit(Event::new(Type::Secret, Action::Remove).id(id).name(name.as_str()));
                trash::remove_in(&tmp, temporary)
            }
            Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(failed("remove", &self.dir(name), e.into())),
        }
    }
}

/// Copies secrets into a container's own directory, so that what happens to them later is nothing to it.
///
/// # Errors
/// When one is gone or the file system refuses.
pub fn copy_to(secrets: &Secrets, names: &[&Name], container: BorrowedFd<'_>) -> Result<()> {
    let fail = |e: nix::Error| Error::new(Kind::Storage, "make secrets/ of the container").caused_by(e);
    let dir = copies(container, true).map_err(fail)?;
    for name in names {
        let value = secrets.value(name)?;
        replace_in(dir.as_fd(), name.as_str(), &secrets.dir(name), &value, Durability::Volatile)?;
    }
    Ok(())
}

/// What a secret said when the container with this directory was made.
///
/// # Errors
/// When it cannot be read.
pub fn of_container(container: BorrowedFd<'_>, name: &Name) -> Result<Vec<u8>> {
    let value = copies(container, false).map_err(io::Error::from);
    let value = value.and_then(|dir| read_value(dir.as_fd(), name.as_str()));
    value.map_err(|e| Error::new(Kind::Storage, format!("read secret {name} of the container")).caused_by(e))
}

fn read_value(dir: BorrowedFd<'_>, name: &str) -> io::Result<Vec<u8>> {
    read_bytes(dir, name, VALUE_MAX as u64)?.ok_or_else(|| Errno::ENOENT.into())
}

/// The copies of secrets in a container's directory.
fn copies(container: BorrowedFd<'_>, make: bool) -> nix::Result<OwnedFd> {
    if make {
        match mkdirat(container, COPIES, Mode::S_IRWXU) {
            Err(e) if e != Errno::EEXIST => return Err(e),
            _ => {}
        }
    }
    open_within(container, COPIES, OFlag::O_RDONLY | OFlag::O_DIRECTORY, record::BELOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing::Scene;
    use std::fs;
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
