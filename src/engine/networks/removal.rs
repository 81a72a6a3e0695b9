//! Removing networks, with the containers that are on them if that is asked for.

use super::filter::Filters;
use crate::container::{ContainerId, Name};
use crate::engine::containers;
use crate::engine::pods::{self, PodRemoval};
use crate::error::{Kind, Result, phrases};
use crate::netns::bridge;
use crate::spec::bridge::{BUILT_IN, UserNetwork, dockers_name};
use crate::storage::Store;
use crate::storage::events::{Action, Event};
use crate::storage::networks::Users;

/// How a network is removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetworkRemoval {
    /// Remove the containers and pods that are on it first.
    pub force: bool,
    /// With `force`: how many seconds they get before they are killed; negative is for ever.
    pub time: Option<i64>,
    /// Whose networks stay.
    pub kept: KeptFor,
}

/// Which containers keep their networks from being removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeptFor {
    /// All of them, as with podman.
    #[default]
    All,
    /// Those that run, as with docker. The others keep the name of a network that is gone, and do not start until there
    /// is one of this name again.
    Running,
}

impl KeptFor {
    /// Who is on which network.
    ///
    /// # Errors
    /// When the containers cannot be listed.
    pub fn users(self, store: &Store) -> Result<Users> {
        let users = Users::read(store.containers())?;
        Ok(if self == KeptFor::Running { users.running(store.containers()) } else { users })
    }
}

/// How often containers are removed that somebody makes meanwhile.
const TRIES: u32 = 4;

/// Removes a network, by its name or a unique beginning of its id; gives its name.
///
/// # Errors
/// `NotFound` when there is none; `Conflict` when a container is on it; `Usage` for the built-in one.
pub fn remove_named(store: &Store, text: &str, request: NetworkRemoval) -> Result<String> {
    let (name, id) = match store.networks().find(text) {
        Ok(network) => (network.name, network.id),
        // One whose record cannot be read can still be removed, by its name.
        Err(e)
            if e.kind() != Kind::NotFound
                && text.parse::<Name>().is_ok()
                && store.networks().get(text).is_err() =>
        {
            (text.to_owned(), String::new())
        }
        Err(e) => return Err(e),
    };
    if name == BUILT_IN {
        return Err(phrases::built_in_network_stays(text, dockers_name(&name))
            .hint("It takes no space; remove the others: coracle network prune"));
    }
    // A container whose monitor died may be all that is on it.
    containers::settle_all(store)?;
    for _ in 0..TRIES {
        if request.force {
            let users = Users::read(store.containers())?;
            users.of(&name).iter().try_for_each(|id| remove_user(store, id, request.time))?;
        }
        match remove(store, &name, &id, request.kept) {
            Err(e)
                if e.kind() == Kind::Conflict
                    && request.force
                    && !Users::read(store.containers())?.of(&name).is_empty() => {}
            other => return other.map(|()| name),
        }
    }
    remove(store, &name, &id, request.kept).map(|()| name)
}

/// Removes a container that is on a network; with an infra container, the pod.
fn remove_user(store: &Store, id: &ContainerId, seconds: Option<i64>) -> Result<()> {
    let plan = store.containers().open(id).and_then(|dir| dir.spec()).ok();
    let Some(pod) = plan.and_then(|plan| plan.pod).filter(|pod| pod.infra) else {
        return containers::remove_user(store, id, seconds);
    };
    match pods::remove(store, &pod.id, PodRemoval { force: true, seconds }) {
        Err(e) if e.kind() == Kind::NotFound => Ok(()),
        other => other.map(drop),
    }
}

fn remove(store: &Store, name: &str, id: &str, kept: KeptFor) -> Result<()> {
    let _lock = store.exclusive()?;
    let users = kept.users(store)?;
    match users.of(name) {
        [] => match users.unreadable.first() {
            Some(unreadable) => Err(unreadable.refusal(&format!("network {name}"))),
            None => {
                store.networks().remove(&name.parse()?, id)?;
                forget(store, id);
                Ok(())
            }
        },
        using => {
            let ids: Vec<&str> = using.iter().map(ContainerId::short).collect();
            Err(phrases::network_in_use(name, &ids.join(", "))
                .hint(format!("Remove its containers first: coracle rm -f {}", ids.join(" "))))
        }
    }
}

/// Nothing of a removed network is left while the machine runs on, either. What cannot be removed `system check` finds.
fn forget(store: &Store, id: &str) {
    if !id.is_empty() {
        bridge::forget(store.runtime(), id);
    }
}

/// The networks that no container is on and that meet the conditions, by name; the built-in one is none of them.
///
/// # Errors
/// When containers or networks cannot be listed.
pub fn unused(store: &Store, filters: &Filters, kept: KeptFor) -> Result<Vec<UserNetwork>> {
    containers::settle_all(store)?;
    let users = kept.users(store)?;
    users.warn();
    let mut unused = store.networks().list()?;
    unused.retain(|network| {
        network.name != BUILT_IN && users.is_free(&network.name) && filters.hold(network, &users)
    });
    Ok(unused)
}

/// Removes those of these networks that still no container is on, under one lock; returns their names.
///
/// # Errors
/// When one cannot be moved.
pub fn remove_unused(store: &Store, networks: &[UserNetwork], kept: KeptFor) -> Result<Vec<String>> {
    let _lock = store.exclusive()?;
    let users = kept.users(store)?;
    let mut removed = Vec::new();
    for network in networks.iter().filter(|network| users.is_free(&network.name)) {
        match store.networks().remove(&network.name.parse()?, &network.id) {
            // Another command was faster.
            Err(e) if e.kind() == Kind::NotFound => {}
            other => {
                other?;
                forget(store, &network.id);
                store.events().emit(Event::network(Action::Prune, &network.name, &network.id));
                removed.push(network.name.clone());
            }
        }
    }
    Ok(removed)
}
