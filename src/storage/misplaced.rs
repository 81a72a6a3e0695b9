//! Finds other objects in the place of the store's own directories and lock files.

use super::mounted;
use super::place::{self, Place};
use super::roots::DIRECTORIES;
use super::store::Store;
use crate::error::{Error, Kind, Result};
use nix::sys::stat::SFlag;

/// Directories whose contents can all be rebuilt, from other records or otherwise.
const REPLACEABLE: [&str; 6] = ["tmp", "trash", "names", "events", "build", mounted::MOUNTS];

/// The files that are locked.
const LOCKS: [&str; 2] = ["lock", "index.lock"];

/// Something in the place of one of the store's own directories or lock files.
#[derive(Debug)]
pub struct Misplaced {
    /// What belongs there, by its path below the data root.
    pub name: String,
    /// What is wrong.
    pub what: String,
    replaceable: bool,
}

impl Store {
    /// Objects in the place of the store's own directories and lock files, mostly links.
    ///
    /// # Errors
    /// When the data root cannot be read.
    pub fn misplaced(&self) -> Result<Vec<Misplaced>> {
        let mut all = Vec::new();
        for name in DIRECTORIES.iter().chain(&[
            "pods",
            "secrets",
            "events",
            "build",
            "lists",
            mounted::MOUNTS,
            place::ASIDE,
        ]) {
            if let Some((parent, part)) = place::unfit(self.data(), name)? {
                let found = parent.path().join(&part);
                all.push(Misplaced {
                    name: (*name).to_owned(),
                    what: format!("{} is not a directory", found.display()),
                    replaceable: REPLACEABLE.contains(name),
                });
            }
        }
        let root = Place::open(self.data())?;
        for name in LOCKS {
            if root.look(name)?.is_some_and(|found| !place::is(&found, SFlag::S_IFREG)) {
                let (name, what) = (name.to_owned(), "it is not a regular file".to_owned());
                all.push(Misplaced { name, what, replaceable: true });
            }
        }
        Ok(all)
    }

    /// Moves it aside, whatever it is, and recreates the directory; returns what was done.
    ///
    /// # Errors
    /// [`Kind::Storage`] where the right object cannot be created; when the file system refuses.
    pub fn replace_misplaced(&self, fault: &Misplaced) -> Result<String> {
        if !fault.replaceable {
            let what = format!("what belongs at {} must be somewhere else", fault.name);
            return Err(Error::new(Kind::Storage, what).hint(format!(
                "Find it and put it back: mv DIR {}",
                self.data().join(&fault.name).display()
            )));
        }
        let root = Place::open(self.data())?;
        let to = root.set_aside(&fault.name, self.data())?;
        if REPLACEABLE.contains(&fault.name.as_str()) {
            Place::make(&self.data().join(&fault.name))?;
        }
        Ok(format!("set aside as {}", to.display()))
    }
}
