//! Stopping pods.

use super::PodOutcome;
use super::members::Members;
use crate::container::Status;
use crate::engine::containers::Stopping;
use crate::error::Result;
use crate::spec::PodSpec;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;

/// Stops the containers of a pod, all at the same time, and then its infra container: until they have ended, their
/// network is there. Paused ones stay as they are.
///
/// # Errors
/// When containers cannot be listed; what fails with some is in the result.
pub fn stop(store: &Store, pod: &PodSpec, seconds: Option<i64>) -> Result<PodOutcome> {
    let mut outcome = PodOutcome::default();
    let Members { infra, others } = Members::of(store, &pod.id)?;
    for group in [others, infra.into_iter().collect()] {
        end(store, &group, seconds, &mut outcome);
    }
    store.pods().emit(pod, Action::Stop);
    Ok(outcome)
}

fn end(store: &Store, group: &[ContainerDir], seconds: Option<i64>, outcome: &mut PodOutcome) {
    let mut stopping = Stopping::new(store);
    let mut asked = Vec::new();
    for container in group.iter().filter(|one| one.status() != Status::Paused) {
        match stopping.begin(container, None, seconds) {
            Ok(index) => asked.push(index),
            Err(error) => outcome.failures.push((container.id().clone(), error)),
        }
    }
    for index in asked {
        match stopping.finish(index) {
            Ok(_) => outcome.warnings.extend(stopping.warning(index)),
            Err(error) => outcome.failures.push((stopping.container(index).id().clone(), error)),
        }
    }
}
