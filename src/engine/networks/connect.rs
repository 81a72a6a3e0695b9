//! Connecting containers to networks, and disconnecting them, whether they run or not.
//!
//! Theory of operation. The networks that a container is on are in its plan and, once they have changed, in its settings.
//! These change first, under the container's lock and, so that no network is removed meanwhile, the store's. A monitor is
//! then asked to make its container's networks what the settings say. What it refuses is taken back. So what a command that was
//! killed has left is a wish: the next change, or the next start, fulfils it.

use super::attach;
use crate::container::Status;
use crate::engine::containers::start::call;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::failpoint;
use crate::fork::Failure;
use crate::runtime::connection::Connection;
use crate::runtime::launch::explain_network;
use crate::spec::NetworkMode;
use crate::spec::bridge::{Attachment, UserNetwork, dockers_name};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::{Action, Event};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How long a monitor may take until it answers a call at all: it may be starting or ending.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two calls.
const CALL_EVERY: Duration = Duration::from_millis(10);

/// Connects a container to a network; `wanted` names it, by its name or id.
///
/// # Errors
/// `NotFound` for a network that does not exist; `Conflict` for a container that is on it already, or whose network is
/// of another kind; `Usage` for an address that the network cannot give; why the running container could not be connected.
pub fn connect(store: &Store, dir: &ContainerDir, mut wanted: Attachment) -> Result<()> {
    refuse_other_modes(dir)?;
    let network = store.networks().find(&wanted.network)?;
    wanted.network.clone_from(&network.name);
    attach::check(&wanted, &network)?;
    if !add(store, dir, &mut wanted, &network)? {
        return Ok(());
    }
    failpoint::reach("network-connect.wished");
    if let Err(error) = fulfil(dir, Some(&network.name), false) {
        remove(store, dir, |one| *one == wanted)?;
        // Where a part of it was made.
        let _ = fulfil(dir, None, false);
        return Err(error);
    }
    failpoint::reach("network-connect.fulfilled");
    tell(store, dir, Action::Connect, &network);
    Ok(())
}

/// Disconnects a container from a network. With `force` from one, too, that cannot be read, and whatever a running
/// container's monitor says.
///
/// # Errors
/// `NotFound` for a network that does not exist; `Conflict` for a container that is not on it; why the running container
/// could not be disconnected.
pub fn disconnect(store: &Store, dir: &ContainerDir, network: &str, force: bool) -> Result<()> {
    refuse_other_modes(dir)?;
    let found = store.networks().find(network);
    let (name, found) = match found {
        Ok(found) => (found.name.clone(), Some(found)),
        Err(_) if force => (network.to_owned(), None),
        Err(error) => return Err(error),
    };
    let before = remove(store, dir, |one| one.network == name)?;
    if before.is_none() && !is_there(dir, &name) {
        return Err(phrases::not_connected(&dir.called(), &name, dockers_name(&name))
            .hint(format!("See its networks: coracle inspect {}", dir.called())));
    }
    failpoint::reach("network-disconnect.wished");
    if let Err(error) = fulfil(dir, Some(&name), false)
        && !force
    {
        if let Some(before) = before {
            change(store, dir, |all| {
                if !all.iter().any(|one| one.network == name) {
                    all.push(before);
                }
            })?;
        }
        return Err(error);
    }
    failpoint::reach("network-disconnect.fulfilled");
    if let Some(found) = found {
        tell(store, dir, Action::Disconnect, &found);
    }
    Ok(())
}

/// Repairs the networks of a running container: what serves them is started again where it has died, and what it is
/// connected to is made what its settings say. It keeps its addresses.
///
/// # Errors
/// `Conflict` for a container that does not run or has no network of its own; what cannot be put right.
pub fn reload(dir: &ContainerDir) -> Result<()> {
    let mode = dir.spec()?.network.mode;
    if !mode.carries_ports() {
        return Err(Error::new(
            Kind::Conflict,
            format!("cannot reload network of container {}: network mode {mode} has nothing to reload", dir.called()),
        )
        .hint("Only containers with --network bridge, slirp4netns, pasta or the name of a network have something to reload."));
    }
    dir.await_start();
    if !dir.status().is_live() {
        return Err(Error::new(
            Kind::Conflict,
            "cannot reload network unless container network has been configured: container state improper",
        )
        .hint(format!("Start it: coracle start {}", dir.called())));
    }
    fulfil(dir, None, true)
}

/// Has a running container found by the name that it has now.
///
/// # Errors
/// When its monitor does not do it; the next change of its networks, or its next start, does.
pub fn follow_name(dir: &ContainerDir) -> Result<()> {
    match dir.spec()?.network.mode {
        NetworkMode::Bridge(_) => fulfil(dir, None, false),
        _ => Ok(()),
    }
}

/// Whether [`reload`] finds something to repair.
pub fn can_reload(dir: &ContainerDir) -> bool {
    dir.spec().is_ok_and(|spec| spec.network.mode.carries_ports())
}

fn refuse_other_modes(dir: &ContainerDir) -> Result<()> {
    let spec = dir.spec()?;
    let mode = match spec.network.mode {
        NetworkMode::Bridge(_) => return Ok(()),
        mode => mode,
    };
    let in_pod = spec.pod.is_some_and(|pod| !pod.infra);
    Err(phrases::not_a_bridge(&mode.to_string()).hint(match &mode {
        NetworkMode::Container(id) if in_pod => {
            let short = id.get(..12).unwrap_or(id);
            format!("Its network is that of its pod, which the infra container has; connect that: coracle network connect NETWORK {short}")
        }
        NetworkMode::Container(id) => {
            let short = id.get(..12).unwrap_or(id);
            format!("Its network is that of another container; connect that: coracle network connect NETWORK {short}")
        }
        _ => "How a container's network works is chosen when it is made. Make it again on a network: \
              coracle run --network bridge ..., or with the name of one".to_owned(),
    }))
}

/// Adds a network to the settings; `false` when nothing has to be done, as podman has it for a container that never ran.
fn add(store: &Store, dir: &ContainerDir, wanted: &mut Attachment, network: &UserNetwork) -> Result<bool> {
    let mut result = Ok(true);
    change(store, dir, |all| {
        if let Some(there) = all.iter().find(|one| one.network == network.name) {
            let name = dir.called();
            result = if dir.status() == Status::Created {
                Ok(false)
            } else if dir.status().is_live() && !is_there(dir, &network.name) {
                // Somebody who wanted it was killed.
                wanted.clone_from(there);
                Ok(true)
            } else {
                Err(phrases::already_connected(&name, &network.name, dockers_name(&network.name))
                    .hint(format!("See its networks: coracle inspect {name}")))
            };
            return;
        }
        let taken: HashSet<String> =
            all.iter().enumerate().map(|(place, one)| one.interface_at(place)).collect();
        let mut free = (0..).map(|number| format!("eth{number}")).filter(|name| !taken.contains(name));
        wanted.interface = wanted.interface.take().or_else(|| free.next());
        all.push(wanted.clone());
    })?;
    // Removals look for users under the same lock, and this one may have been faster.
    result
}

/// Takes a network out of the settings; gives what was wanted there.
fn remove(
    store: &Store,
    dir: &ContainerDir,
    is_it: impl Fn(&Attachment) -> bool,
) -> Result<Option<Attachment>> {
    let mut found = None;
    change(store, dir, |all| {
        if let Some(place) = all.iter().position(&is_it) {
            found = Some(all.remove(place));
        }
    })?;
    Ok(found)
}

/// Changes the networks in the settings. What interfaces are called follows from their places until the first
/// change, and is written down with it.
fn change(store: &Store, dir: &ContainerDir, change: impl FnOnce(&mut Vec<Attachment>)) -> Result<()> {
    let _lock = dir.lock()?;
    let _store = store.exclusive()?;
    let mut all = dir.networks(&dir.spec()?.network.mode)?.unwrap_or_default();
    let before = all.clone();
    for (place, one) in all.iter_mut().enumerate() {
        one.interface = Some(one.interface_at(place));
    }
    let named = all.clone();
    change(&mut all);
    if all == named {
        return Ok(());
    }
    for added in all.iter().filter(|one| before.iter().all(|other| other.network != one.network)) {
        store.networks().find(&added.network)?;
    }
    let mut settings = dir.settings()?;
    settings.networks = Some(all);
    dir.set_settings(&settings)
}

/// Whether the running container is on this network.
fn is_there(dir: &ContainerDir, network: &str) -> bool {
    let run = dir.run_record().ok().flatten().filter(|_| dir.status().is_live());
    run.is_some_and(|run| run.networks.iter().any(|has| has.network == network))
}

/// Has a running container's networks made what its settings say. One that does not run has nothing to be made; a
/// failure that has to do with another network than this one is not ours.
fn fulfil(dir: &ContainerDir, network: Option<&str>, reload: bool) -> Result<()> {
    let begun = Instant::now();
    let mut connection = loop {
        dir.await_start();
        if !dir.status().is_live() {
            return Ok(());
        }
        match call(dir) {
            Ok(socket) => break Connection::new(socket),
            // It is about to end, or has just begun.
            Err(_) if begun.elapsed() < PATIENCE => std::thread::sleep(CALL_EVERY),
            Err(error) => return Err(error),
        }
    };
    let doing = || format!("change the networks of container {}", dir.called());
    let failures = match connection.change_networks(reload) {
        Ok(failures) => failures,
        // It has ended: then nothing is left to be made.
        Err(_) if !dir.status().is_live() => return Ok(()),
        Err(error) => return Err(error).context(Kind::Conflict, doing),
    };
    let ours =
        |(name, _): &(String, Failure)| network.is_none_or(|network| name.is_empty() || network == name);
    match failures.into_iter().find(ours) {
        Some((_, failure)) => Err(explain_network(failure, &dir.spec()?)),
        None => Ok(()),
    }
}

fn tell(store: &Store, dir: &ContainerDir, action: Action, network: &UserNetwork) {
    let container = (dir.id().as_str(), dir.called());
    store.events().emit(Event::connection(action, &network.name, &network.id, (container.0, &container.1)));
}
