//! Starting pods.

use super::members::Members;
use super::{PodOutcome, infra, stop};
use crate::container::Status;
use crate::engine::containers::{self, start as start_container};
use crate::error::{Kind, Result};
use crate::spec::PodSpec;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;

/// Starts the containers of a pod that do not run, the infra container first. Those that run in the namespaces of an
/// infra container that has ended, by itself or because it was killed, are started again: nothing leads to them any
/// more. Paused ones stay as they are.
///
/// # Errors
/// When containers cannot be listed, or the infra container cannot be started; what fails with others is in the result.
pub fn start(store: &Store, pod: &PodSpec) -> Result<PodOutcome> {
    let mut outcome = PodOutcome::default();
    let infra = infra::ensure(store, pod)?;
    let Members { others, .. } = Members::of(store, &pod.id)?;
    if let Some(infra) = &infra {
        let left: Vec<&ContainerDir> = match pod.shared.is_empty() {
            true => Vec::new(),
            false => others.iter().filter(|one| is_left_behind(infra, one)).collect(),
        };
        let mut stopping = containers::Stopping::new(store);
        let asked: Vec<usize> =
            left.into_iter().map(|one| stopping.begin(one, None, None)).collect::<Result<_>>()?;
        for index in asked {
            stopping.finish(index)?;
            outcome.warnings.extend(stopping.warning(index));
        }
        outcome.warnings.extend(start_container::start(store, infra, None)?.warnings);
    }
    for container in others.iter().filter(|one| one.status() != Status::Paused) {
        match start_container::start(store, container, None) {
            Ok(running) => outcome.warnings.extend(running.warnings),
            // It was removed since.
            Err(e) if e.kind() == Kind::NotFound && !container.in_place() => {}
            Err(e) => outcome.failures.push((container.id().clone(), e)),
        }
    }
    if outcome.failures.is_empty() {
        store.pods().emit(pod, Action::Start);
    }
    Ok(outcome)
}

/// Whether a running container is in the namespaces of a run of the infra container that is over.
fn is_left_behind(infra: &ContainerDir, container: &ContainerDir) -> bool {
    let (theirs, own) = (infra.summary(), container.summary());
    own.status == Status::Running && (!theirs.status.is_active() || own.started < theirs.started)
}

/// Stops the containers of a pod and starts them again; those that do not run are started.
///
/// # Errors
/// Those of [`start`] and of stopping.
pub fn restart(store: &Store, pod: &PodSpec, seconds: Option<i64>) -> Result<PodOutcome> {
    let stopped = stop::stop(store, pod, seconds)?;
    let mut outcome = start(store, pod)?;
    outcome.failures.splice(0..0, stopped.failures);
    outcome.warnings.splice(0..0, stopped.warnings);
    Ok(outcome)
}
