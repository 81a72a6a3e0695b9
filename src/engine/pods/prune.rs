//! Removing pods that have ended.

use super::filter::Filters;
use super::listing::list;
use super::removal::{PodRemoval, remove};
use super::state::PodState;
use crate::error::{Error, Kind, Result};
use crate::spec::PodId;
use crate::storage::Store;

/// Removes the pods whose containers have ended; one that was never started stays, as in podman. Returns the ids, and
/// what went wrong with single ones.
///
/// # Errors
/// When pods cannot be listed.
pub fn prune(store: &Store, filters: &Filters) -> Result<(Vec<PodId>, Vec<Error>)> {
    let (mut gone, mut failed) = (Vec::new(), Vec::new());
    for pod in list(store)? {
        let has_ended = matches!(pod.state, PodState::Exited | PodState::Stopped);
        if !has_ended || !filters.hold(&pod) {
            continue;
        }
        match remove(store, &pod.spec.id, PodRemoval::default()) {
            Ok(_) => gone.push(pod.spec.id),
            // It was started, or removed by somebody else, since it was listed.
            Err(e) if matches!(e.kind(), Kind::NotFound | Kind::Conflict) => {}
            Err(e) => failed.push(e),
        }
    }
    Ok((gone, failed))
}
