//! What the `prune` verbs have in common.

use crate::container::ContainerId;
use crate::engine::containers;
use crate::engine::containers::dependents::Dependents;
use crate::engine::containers::selector::{Filters, Selection, Suits};
use crate::engine::volumes::filter;
use crate::error::{Error, Kind, Result};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Unreadable};
use crate::storage::events::{Action, Event, Type};
use crate::storage::volumes::{Users, Volume};

/// Refuses conditions that images cannot meet (podman-image-prune(1), podman-system-prune(1)).
///
/// # Errors
/// `Usage` for a key other than `label` and `until`.
pub fn check_keys(filters: &[String]) -> Result<()> {
    for text in filters {
        let key = text.split(['=', '!']).next().unwrap_or_default();
        if !matches!(key, "label" | "until") {
            return Err(Error::new(Kind::Usage, format!("filter {text:?}: {key:?} is not a key"))
                .hint("Write label=KEY[=VALUE], label!=KEY[=VALUE] or until=TIME."));
        }
    }
    Ok(())
}

/// Removes the containers that do not run and meet the conditions, with their anonymous volumes. Those that
/// others need go last, and stay when one of those does. Gives the ids, and what went wrong with single ones.
///
/// # Errors
/// When the containers cannot be listed.
pub fn containers(store: &Store, filters: Filters) -> Result<(Vec<ContainerId>, Vec<Error>)> {
    let ended = Selection { all: true, filters, suits: Suits::Ended, ..Selection::default() };
    // One that went away meanwhile is nobody's mistake.
    let mut left: Vec<ContainerDir> =
        ended.containers(store)?.into_iter().filter_map(|(_, found)| found.ok()).collect();
    // What a plan says that cannot be read (that it runs on another machine's newer coracle, for one) is lost with
    // the container: that is for somebody to decide.
    let unreadable = store.containers().specs()?.unreadable;
    unreadable.iter().for_each(Unreadable::warn);
    left.retain(|container| !unreadable.iter().any(|unreadable| unreadable.id == *container.id()));
    let (mut gone, mut failed) = (Vec::new(), Vec::new());
    loop {
        let before = left.len();
        let dependents = Dependents::read(store)?;
        let mut needed = Vec::new();
        for container in left {
            if !dependents.of(store, container.id()).is_empty() {
                needed.push(container);
                continue;
            }
            match containers::remove_ended(store, &container, true) {
                Ok(true) => {
                    crate::failpoint::reach("prune.container");
                    gone.push(container.id().clone());
                }
                // It was started, or removed by somebody else, since it was listed.
                Ok(false) => {}
                Err(error) => failed.push(error),
            }
        }
        if needed.is_empty() || needed.len() == before {
            break;
        }
        left = needed;
    }
    store.events().emit(Event::new(Type::Container, Action::Prune));
    Ok((gone, failed))
}

/// The volumes that no container uses and that meet the conditions, by name.
///
/// # Errors
/// When containers or volumes cannot be listed.
pub fn unused_volumes(store: &Store, filters: &filter::Filters) -> Result<Vec<Volume>> {
    containers::settle_all(store)?;
    let users = Users::read(store.containers())?;
    let mut unused = store.volumes().list()?;
    users.warn();
    unused.retain(|volume| users.is_free(&volume.name) && filters.hold(volume, &users));
    Ok(unused)
}
