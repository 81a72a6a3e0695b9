//! Networks that users have made.
//!
//! `networks/<name>/network.json` describes a network; who is on it is said by the containers alone. A network is created
//! in `tmp/` and renamed, so it exists completely or not at all. The built-in one has no record: every store has it.

mod users;

pub use users::{Member, Users};

use super::containers::Containers;
use super::events::{Action, Event, Events};
use super::lock::ExclusiveLock;
use super::place::{self, Place};
use super::record::{Durability, failed, warn_once};
use super::roots::Roots;
use super::scratch::Scratch;
use super::trash;
use crate::container::Name;
use crate::error::{Error, Kind, Result, phrases};
use crate::failpoint;
use crate::image::Digest;
use crate::spec::bridge::{BUILT_IN, NETWORK_VERSION, Subnet, UserNetwork};
use chrono::Utc;
use ipnet::{IpNet, Ipv4Net};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::SFlag;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
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

    /// The network that every account has, with podman's range and id. Names of containers are not answered there.
    pub fn built_in() -> UserNetwork {
        let [gateway, network] = [1, 0].map(|last| Ipv4Addr::new(10, 88, 0, last));
        UserNetwork {
            version: NETWORK_VERSION,
            name: BUILT_IN.to_owned(),
            id: Digest::sha256_of(BUILT_IN.as_bytes()).hex().to_owned(),
            created: Utc::now(),
            subnets: vec![Subnet {
                subnet: IpNet::V4(Ipv4Net::new_assert(network, 16)),
                gateway: gateway.into(),
                range: None,
            }],
            ipv6: false,
            internal: false,
            dns: false,
            dns_servers: Vec::new(),
            interface: "podman0".to_owned(),
            routes: Vec::new(),
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
        }
    }

    /// Made with the first network.
    fn place(&self) -> Result<Place> {
        Place::make(&self.roots.data.join(NETWORKS))
    }

    /// The names of those that have a record, or should.
    fn names(&self) -> Result<Vec<String>> {
        match Place::find(&self.roots.data.join(NETWORKS))? {
            Some(place) => place.names(),
            None => Ok(Vec::new()),
        }
    }

    /// An id that no network has: 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the kernel has no random bytes.
    pub fn new_id() -> Result<String> {
        Ok(Containers::new_id()?.as_str().to_owned())
    }

    /// Keeps others from making networks: ranges are chosen among those that nobody has.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn choose_alone(&self) -> Result<Choosing> {
        let place = self.place()?;
        let path = self.roots.data.join(NETWORKS);
        let opened = place.as_fd().try_clone_to_owned().map_err(|e| failed("lock", &path, e))?;
        match Flock::lock(opened, FlockArg::LockExclusive) {
            Ok(lock) => Ok(Choosing { _lock: lock }),
            Err((_, e)) => Err(failed("lock", &path, e.into())),
        }
    }

    /// Makes a network.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the name is taken.
    pub fn create(&self, network: &UserNetwork) -> Result<()> {
        let name: Name = network.name.parse()?;
        if name.as_str() == BUILT_IN {
            return Err(phrases::network_exists(BUILT_IN));
        }
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

    /// Replaces the record of a network that there is. The caller keeps others from doing so at the same time.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is gone.
    pub fn replace(&self, network: &UserNetwork) -> Result<()> {
        let place = Place::find(&self.roots.data.join(NETWORKS))?;
        let dir = place.map(|place| place.below(&network.name)).transpose()?.flatten();
        match dir {
            Some(dir) => dir.replace(RECORD, network, Durability::Synced),
            None => Err(phrases::no_network(&network.name)),
        }
    }

    /// The network of this name.
    ///
    /// # Errors
    /// When its record is damaged, or of a newer form.
    pub fn get(&self, name: &str) -> Result<Option<UserNetwork>> {
        if name == BUILT_IN {
            return Ok(Some(Networks::built_in()));
        }
        let Ok(name) = name.parse::<Name>() else { return Ok(None) };
        let networks = Place::find(&self.roots.data.join(NETWORKS))?;
        let dir = networks.map(|networks| networks.below(name.as_str())).transpose()?.flatten();
        let Some(dir) = dir else { return Ok(None) };
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
            (Some(_), others) => Err(Error::new(
                Kind::Usage,
                format!("{} networks have an id that begins with {text:?}", others + 1),
            )
            .hint("Give more of the id; list them with: coracle network ls --no-trunc")),
        }
    }

    /// All networks, the built-in one too, by name. Of one whose record cannot be read a warning tells.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<UserNetwork>> {
        let mut all = vec![Networks::built_in()];
        for name in self.names()?.into_iter().filter(|name| name != BUILT_IN) {
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

    /// Entries that are not networks, or have unreadable records: their names, and what is wrong.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn damaged(&self) -> Result<Vec<(String, String)>> {
        let Some(place) = Place::find(&self.roots.data.join(NETWORKS))? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for name in place.names()? {
            let Some(found) = place.look(&name)? else { continue };
            let what = match name.parse::<Name>() {
                _ if !place::is(&found, SFlag::S_IFDIR) => "it is not a directory".to_owned(),
                Err(_) => "its name is not valid for a network".to_owned(),
                Ok(name) if name.as_str() == BUILT_IN => {
                    "its name is that of the built-in network".to_owned()
                }
                Ok(name) => match self.get(name.as_str()) {
                    Err(error) => error.in_one_line(),
                    Ok(None) if place.look(name.as_str())?.is_some() => format!("it has no {RECORD}"),
                    Ok(Some(network)) if network.name != name.as_str() => {
                        "its record has another name".to_owned()
                    }
                    Ok(_) => continue,
                },
            };
            all.push((name, what));
        }
        Ok(all)
    }

    /// Puts a damaged network out of the way; says what was done.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn mend(&self, _lock: &ExclusiveLock, name: &str) -> Result<String> {
        if !self.damaged()?.iter().any(|(still, _)| still == name) {
            return Ok("is whole again".to_owned());
        }
        let to = self.place()?.set_aside(name, &self.roots.data)?;
        Ok(format!("set aside as {}", to.display()))
    }

    /// Removes a network. The caller has made sure that no container is on it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none.
    pub fn remove(&self, name: &Name, id: &str) -> Result<()> {
        let place = Place::find(&self.roots.data.join(NETWORKS))?;
        let gone = place.map(|place| trash::discard(&self.roots.data, &place, name.as_str())).transpose()?;
        if gone != Some(true) {
            return Err(phrases::no_network(name.as_str()));
        }
        failpoint::reach("network.discarded");
        Events::new(&self.roots.data).emit(Event::network(Action::Remove, name.as_str(), id));
        Ok(())
    }
}

/// Proof that nobody else makes networks; released on drop.
#[derive(Debug)]
pub struct Choosing {
    _lock: Flock<OwnedFd>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_network_has_podmans_id() {
        let network = Networks::built_in();
        assert!(network.id.starts_with("2f259bab93aa") && network.id.len() == 64);
        assert_eq!(network.subnets[0].subnet.to_string(), "10.88.0.0/16");
    }
}
