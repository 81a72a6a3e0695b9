//! The common parts of the `prune` verbs.

use crate::container::{ContainerId, Name};
use crate::engine::containers::dependents::Dependents;
use crate::engine::containers::selector::{ContainerSelector, Filters, StatusFilter};
use crate::engine::{build_cache, containers, disk_usage, images, networks, pods, volumes};
use crate::error::{Error, Result, phrases};
use crate::image::Digest;
use crate::spec::PodId;
use crate::storage::build::Entry;
use crate::storage::containers::{ContainerDir, Unreadable};
use crate::storage::events::{Action, Event, Type};
use crate::storage::volumes::{Users, Volume};
use crate::storage::{Store, trash};

/// Refuses conditions that not everything can meet (podman-system-prune(1)). `more` names further keys that the verb
/// takes, for the hint.
///
/// # Errors
/// `Usage` for a key other than `label` and `until`.
pub fn check_keys(filters: &[String], more: &str) -> Result<()> {
    for text in filters {
        let key = text.split(['=', '!']).next().unwrap_or_default();
        if !matches!(key, "label" | "until") {
            return Err(phrases::unknown_filter(text, key)
                .hint(format!("Write label=KEY[=VALUE], label!=KEY[=VALUE]{more} or until=TIME.")));
        }
    }
    Ok(())
}

/// Removes the containers that are not running and meet the conditions. Their volumes stay, anonymous ones too:
/// what is in them may be wanted. Those that others need are removed last, and kept if one of the others is. Returns the ids, and what went wrong
/// with single ones.
///
/// # Errors
/// When the containers cannot be listed.
pub fn containers(store: &Store, filters: Filters) -> Result<(Vec<ContainerId>, Vec<Error>)> {
    let ended =
        ContainerSelector { all: true, filters, status: StatusFilter::Ended, ..ContainerSelector::default() };
    // One that was removed meanwhile is no error.
    let mut left: Vec<ContainerDir> =
        ended.containers(store)?.into_iter().filter_map(|(_, found)| found.ok()).collect();
    // A plan that cannot be read (for instance one of a newer coracle) would be lost with the container: that
    // is for the user to decide.
    let unreadable = store.containers().specs()?.unreadable;
    unreadable.iter().for_each(Unreadable::warn);
    left.retain(|container| !unreadable.iter().any(|unreadable| unreadable.id == *container.id()));
    // Infra containers go with their pods.
    left.retain(|container| !container.summary().is_infra);
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
            // Until an update is over, both containers are needed, whichever does not run.
            if containers::auto_update::is_exchanged(store, &container) {
                continue;
            }
            match containers::remove_ended(store, &container, false) {
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

/// What is removed at once.
#[derive(Debug)]
pub struct PruneRequest {
    /// Only leftovers of interrupted commands.
    pub leftovers: bool,
    /// Volumes that no container uses, too.
    pub volumes: bool,
    /// All images that no container needs, not only those without a name.
    pub all_images: bool,
    /// This of the build cache, too.
    pub build_cache: Option<build_cache::PruneRequest>,
    /// Conditions that containers meet.
    pub of_containers: Filters,
    /// Conditions that pods meet.
    pub of_pods: pods::filter::Filters,
    /// Conditions that images meet.
    pub of_images: images::filter::Filters,
    /// Conditions that volumes meet.
    pub of_volumes: volumes::filter::Filters,
    /// Conditions that networks meet.
    pub of_networks: networks::filter::Filters,
    /// Whose networks stay.
    pub networks_of: networks::KeptFor,
}

/// What was removed.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Pods.
    pub pods: Vec<PodId>,
    /// Containers.
    pub containers: Vec<ContainerId>,
    /// Volumes.
    pub volumes: Vec<Name>,
    /// Networks.
    pub networks: Vec<String>,
    /// Images.
    pub images: Vec<Digest>,
    /// What builds had left.
    pub build_cache: Vec<Entry>,
    /// Bytes that were freed.
    pub freed: u64,
}

/// Removes pods that have ended, containers that are not running, unused networks and images and, if requested, unused volumes and the build cache.
///
/// # Errors
/// Something that cannot be removed.
pub fn everything(store: &Store, request: PruneRequest) -> Result<Pruned> {
    let PruneRequest {
        leftovers,
        volumes,
        all_images,
        build_cache,
        of_containers,
        of_pods,
        of_images,
        of_volumes,
        of_networks,
        networks_of,
    } = request;
    let (mut pruned, freed) = disk_usage::measured(store, |before| {
        trash::collect_leftovers(store)?;
        store.blobs().remove_partials()?;
        let mut pruned = Pruned::default();
        if !leftovers {
            let (gone, failed) = pods::prune(store, &of_pods)?;
            failed.into_iter().next().map_or(Ok(()), Err)?;
            pruned.pods = gone;
            let (gone, failed) = containers(store, of_containers)?;
            failed.into_iter().next().map_or(Ok(()), Err)?;
            pruned.containers = gone;
            if volumes {
                pruned.volumes = volumes::remove_unused(store, &unused_volumes(store, &of_volumes)?)?;
            }
            let unused = networks::unused(store, &of_networks, networks_of)?;
            pruned.networks = networks::remove_unused(store, &unused, networks_of)?;
            let lock = store.exclusive()?;
            pruned.images = store.images().prune(&lock, all_images, |listed| of_images.accepts(listed))?;
            if let Some(request) = build_cache {
                let wanted = |entry: &Entry| request.filters.accepts(&build_cache::Record::from(entry));
                let asked = request.asked(store, before, &wanted)?;
                pruned.build_cache = store.build_cache().prune(&lock, store.images(), before, asked)?;
            }
        }
        Ok(pruned)
    })?;
    pruned.freed = freed;
    Ok(pruned)
}

/// The volumes that no container uses and that meet the conditions, by name.
///
/// # Errors
/// When containers or volumes cannot be listed.
pub fn unused_volumes(store: &Store, filters: &volumes::filter::Filters) -> Result<Vec<Volume>> {
    containers::settle_all(store)?;
    let users = Users::read(store.containers())?;
    let mut unused = store.volumes().list()?;
    users.warn();
    unused.retain(|volume| users.is_free(&volume.name) && filters.hold(volume, &users));
    Ok(unused)
}
