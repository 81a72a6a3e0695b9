//! Pods with the containers that are in them.

use super::state::PodState;
use crate::engine::containers;
use crate::error::Result;
use crate::spec::PodSpec;
use crate::storage::Store;
use crate::storage::containers::Summary;

/// A pod of a listing.
#[derive(Debug)]
pub struct ListedPod {
    /// The pod.
    pub spec: PodSpec,
    /// Its containers, the infra container last.
    pub containers: Vec<Summary>,
    /// Its state.
    pub state: PodState,
}

impl ListedPod {
    fn new(spec: PodSpec, all: &[Summary]) -> ListedPod {
        let mut containers: Vec<Summary> =
            all.iter().filter(|one| one.pod.as_ref() == Some(&spec.id)).cloned().collect();
        containers.sort_by_key(|one| one.is_infra);
        let state = PodState::of(containers.iter().map(|one| one.status));
        ListedPod { spec, containers, state }
    }
}

/// All pods, the latest first.
///
/// # Errors
/// When pods or containers cannot be listed.
pub fn list(store: &Store) -> Result<Vec<ListedPod>> {
    let pods = store.pods().list()?;
    if pods.is_empty() {
        return Ok(Vec::new());
    }
    let all = containers::list(store)?;
    Ok(pods.into_iter().map(|pod| ListedPod::new(pod, &all)).collect())
}

/// One pod as a listing has it.
///
/// # Errors
/// When containers cannot be listed.
pub fn listed(store: &Store, spec: PodSpec) -> Result<ListedPod> {
    Ok(ListedPod::new(spec, &containers::list(store)?))
}
