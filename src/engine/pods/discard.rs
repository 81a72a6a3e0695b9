//! Taking back a pod that was just made.

use super::infra;
use crate::engine::containers::discard as discard_container;
use crate::spec::PodSpec;
use crate::storage::Store;

/// Removes a pod that has no containers but its infra container, which never ran. What cannot be removed is left for
/// `pod rm`.
pub(in crate::engine) fn discard(store: &Store, pod: &PodSpec) {
    if let Some(id) = pod.infra_id()
        && let Ok(dir) = store.containers().open(id)
    {
        if dir.status().is_active() {
            // What failed was not the pod.
            return;
        }
        discard_container(store, &dir);
    }
    let removed =
        store.pods().lock(&pod.id).and_then(|lock| match store.pods().members(&pod.id)?.as_slice() {
            [] => store.pods().remove(&lock, &pod.id),
            _ => Ok(()),
        });
    if let Err(error) = removed {
        log::info!("pod {} is kept: {error}", pod.name);
    }
}

/// Makes a pod's records: its own, and its infra container.
///
/// # Errors
/// `Conflict` when a name is taken; when the file system refuses. Nothing is left then.
pub(in crate::engine) fn record(store: &Store, pod: &PodSpec) -> crate::error::Result<()> {
    store.pods().create(pod)?;
    let made = infra::ensure(store, pod).map(drop);
    made.inspect_err(|_| discard(store, pod))
}
