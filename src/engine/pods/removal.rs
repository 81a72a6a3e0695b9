//! Removing pods with the containers that are in them.

use super::members::Members;
use crate::engine::containers::dependents::Dependents;
use crate::engine::containers::selector::Chosen;
use crate::engine::containers::{RemoveRequest, Remover};
use crate::error::{Error, Kind, Result, Warning};
use crate::spec::PodId;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;

/// How pods are removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct PodRemoval {
    /// Containers that run are stopped first.
    pub force: bool,
    /// Seconds until a running container is killed, never if negative; `None` is its own stop time-out.
    pub seconds: Option<i64>,
}

/// Removes a pod: its containers, with their anonymous volumes, then its infra container, running or not, and its record.
/// Returns which containers did not end in time.
///
/// # Errors
/// `NotFound` when it is gone; `Conflict` when a container runs, or one outside of the pod needs one of its containers.
pub fn remove(store: &Store, id: &PodId, how: PodRemoval) -> Result<Vec<Warning>> {
    let lock = store.pods().lock(id)?;
    let Members { infra, others } = Members::of(store, id)?;
    if !how.force
        && let Some(running) = others.iter().find(|one| one.status().is_active() || one.is_in_hand())
    {
        return Err(still_running(store, id, running));
    }
    refuse_needed(store, infra.iter().chain(&others))?;
    let mut warnings = end_and_remove(store, others, how)?;
    // It does nothing that could be lost.
    warnings.extend(end_and_remove(store, infra.into_iter().collect(), PodRemoval { force: true, ..how })?);
    crate::failpoint::reach("pod.emptied");
    store.pods().remove(&lock, id)?;
    Ok(warnings)
}

fn end_and_remove(store: &Store, group: Vec<ContainerDir>, how: PodRemoval) -> Result<Vec<Warning>> {
    let chosen: Vec<Chosen> = group.into_iter().map(|dir| (dir.id().to_string(), Ok(dir))).collect();
    let request = RemoveRequest {
        force: how.force,
        volumes: true,
        seconds: how.seconds,
        with_pod: true,
        // Those that need one another go in whatever order they need.
        depend: true,
        ..RemoveRequest::default()
    };
    let mut remover = Remover::begin(store, request, &chosen)?;
    for one in chosen {
        match remover.remove(one) {
            // Its monitor was faster, or another one that needed it went with it.
            Err(e) if e.kind() == Kind::NotFound => {}
            other => drop(other?),
        }
    }
    Ok(remover.warnings)
}

/// Refuses to remove what containers outside of the pod need.
fn refuse_needed<'a>(store: &Store, members: impl Iterator<Item = &'a ContainerDir> + Clone) -> Result<()> {
    let dependents = Dependents::read(store)?;
    for member in members.clone() {
        let outside = dependents.of(store, member.id());
        let is_member = |one: &ContainerDir| members.clone().any(|member| member.id() == one.id());
        if let Some(one) = outside.iter().find(|one| !is_member(one)) {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "container {} has dependent containers which must be removed before it: {}",
                    member.id(),
                    one.id()
                ),
            )
            .hint(format!("Remove that first: coracle rm -f {}", one.called())));
        }
    }
    Ok(())
}

fn still_running(store: &Store, id: &PodId, running: &ContainerDir) -> Error {
    let (state, container) = (running.status().as_str(), running.id());
    let name =
        store.pods().get(id).ok().flatten().map_or_else(|| id.short().to_owned(), |pod| pod.name.to_string());
    Error::new(
        Kind::Conflict,
        format!(
            "removing container {container} from pod {id}: cannot remove container {container} as it is {state} - running or paused containers cannot be removed without force: container state improper"
        ),
    )
    .hint(format!("Stop it first: coracle pod stop {name}; or do both: coracle pod rm -f {name}"))
}
