//! Networks that users have made.
//!
//! `networks/<name>/network.json` describes a network; who is on it is said by the containers alone. A network is created
//! in `tmp/` and renamed, so it exists completely or not at all.

use super::containers::Containers;
use super::events::{Action, Event, Events};
use super::place::Place;
use super::record::{Durability, failed, warn_once};
use super::roots::Roots;
use super::scratch::Scratch;
use super::trash;
use crate::container::Name;
use crate::error::{Error, Kind, Result, phrases};
use crate::failpoint;
use crate::spec::bridge::{NETWORK_VERSION, UserNetwork};
use nix::errno::Errno;
use std::sync::Arc;

/// Where networks are, below the data root.
const NETWORKS: &str = "networks";
/// The record of a network in its directory.
const RECORD: &str = "network.json";

/// The networks of a store.
#[derive(Debug, Clone)]
pub struct Networks {
    roots: Arc<Roots>,
}

impl Networks {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Networks { roots }
    }

    fn place(&self) -> Result<Place> {
        Place::open(&self.roots.data.join(NETWORKS))
    }

    /// An id that no network has: 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the kernel has no random bytes.
    pub fn new_id() -> Result<String> {
        Ok(Containers::new_id()?.as_str().to_owned())
    }

    /// Makes a network.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the name is taken.
    pub fn create(&self, network: &UserNetwork) -> Result<()> {
        let name: Name = network.name.parse()?;
        let mut made = Scratch::below(&self.roots.data)?;
        made.home().replace(RECORD, network, Durability::Synced)?;
        failpoint::reach("network.filled");
        let place = self.place()?;
        match made.place_new(&place, name.as_str()) {
            Ok(()) => {
                failpoint::reach("network.placed");
                place.sync()?;
            }
            Err(Errno::EEXIST) => return Err(phrases::network_exists(name.as_str())),
            Err(e) => {
                return Err(failed("create", &self.roots.data.join(NETWORKS).join(name.as_str()), e.into()));
            }
        }
        Events::new(&self.roots.data).emit(Event::network(Action::Create, &network.name, &network.id));
        Ok(())
    }

    /// Writes a network's record anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, network: &UserNetwork) -> Result<()> {
        let dir = self.roots.data.join(NETWORKS).join(&network.name);
        Place::open(&dir)?.replace(RECORD, network, Durability::Synced)
    }

    /// The network of this name.
    ///
    /// # Errors
    /// When its record is damaged, or of a newer form.
    pub fn get(&self, name: &str) -> Result<Option<UserNetwork>> {
        let Ok(name) = name.parse::<Name>() else { return Ok(None) };
        let dir = self.roots.data.join(NETWORKS).join(name.as_str());
        let Some(dir) = Place::find(&dir)? else { return Ok(None) };
        let found: Option<UserNetwork> = dir.read(RECORD)?;
        match found {
            Some(network) if network.version > NETWORK_VERSION => Err(Error::new(
                Kind::Storage,
                format!("network {name} was made by a newer version of coracle"),
            )
            .hint("Use that version, or remove the network: coracle network rm -f NAME")),
            other => Ok(other),
        }
    }

    /// Finds a network by its name, its id or a unique beginning of the id.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Usage`] when several ids begin so.
    pub fn find(&self, text: &str) -> Result<UserNetwork> {
        if let Some(network) = self.get(text)? {
            return Ok(network);
        }
        let mut found: Vec<UserNetwork> = match text {
            "" => Vec::new(),
            _ => self.list()?.into_iter().filter(|network| network.id.starts_with(text)).collect(),
        };
        match (found.pop(), found.len()) {
            (Some(network), 0) => Ok(network),
            (None, _) => Err(phrases::no_network(text).hint("List the networks: coracle network ls")),
            (Some(_), others) => {
                Err(Error::new(Kind::Usage, format!("{} networks have an id that begins with {text:?}", others + 1))
                    .hint("Give more of the id; list them with: coracle network ls --no-trunc"))
            }
        }
    }

    /// All networks, by name. Of one whose record cannot be read a warning tells.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<UserNetwork>> {
        let mut all = Vec::new();
        for name in self.place()?.names()? {
            match self.get(&name) {
                // One that is removed meanwhile is not listed.
                Ok(found) => all.extend(found),
                Err(error) => warn_once(
                    &format!("network {name}"),
                    &format!(
                        "network {name} is left alone: {}. Remove it: coracle network rm {name}",
                        error.in_one_line()
                    ),
                ),
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Removes a network. The caller has made sure that no container is on it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none.
    pub fn remove(&self, name: &Name, id: &str) -> Result<()> {
        if !trash::discard(&self.roots.data, &self.place()?, name.as_str())? {
            return Err(phrases::no_network(name.as_str()));
        }
        failpoint::reach("network.discarded");
        Events::new(&self.roots.data).emit(Event::network(Action::Remove, name.as_str(), id));
        Ok(())
    }
}
