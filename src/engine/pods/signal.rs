//! Signalling, pausing and unpausing the containers of a pod.

use super::PodOutcome;
use super::members::Members;
use crate::container::{Signal, Status};
use crate::engine::containers::{self, kill_with};
use crate::error::{Kind, Result};
use crate::spec::PodSpec;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;

/// Sends a signal to the running containers of a pod.
///
/// # Errors
/// When containers cannot be listed; what fails with some is in the result.
pub fn kill(store: &Store, pod: &PodSpec, with: Signal) -> Result<PodOutcome> {
    each(store, pod, Status::Running, Action::Kill, |container| kill_with(store, container, with))
}

/// Freezes the running containers of a pod.
///
/// # Errors
/// As [`kill`].
pub fn pause(store: &Store, pod: &PodSpec) -> Result<PodOutcome> {
    each(store, pod, Status::Running, Action::Pause, containers::pause)
}

/// Thaws the paused containers of a pod.
///
/// # Errors
/// As [`kill`].
pub fn unpause(store: &Store, pod: &PodSpec) -> Result<PodOutcome> {
    each(store, pod, Status::Paused, Action::Unpause, containers::unpause)
}

fn each(
    store: &Store,
    pod: &PodSpec,
    wanted: Status,
    action: Action,
    act: impl Fn(&ContainerDir) -> Result<()>,
) -> Result<PodOutcome> {
    let mut outcome = PodOutcome::default();
    for container in Members::of(store, &pod.id)?.in_state(wanted) {
        match act(&container) {
            // It is in another state by now, or gone.
            Err(e) if e.kind() == Kind::Conflict && container.status() != wanted => {}
            Err(_) if !container.in_place() => {}
            Err(e) => outcome.failures.push((container.id().clone(), e)),
            Ok(()) => {}
        }
    }
    store.pods().emit(pod, action);
    Ok(outcome)
}
