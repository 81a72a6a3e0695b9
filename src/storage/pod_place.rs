//! Where pods are: what both their records and the names that they share with containers need to know.

use super::place::Place;
use super::record::failed;
use super::trash;
use crate::error::Result;
use crate::spec::PodId;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Where the directories of pods are, below the data root.
pub(super) const PODS: &str = "pods";
/// What the names of pods that are being made begin with.
pub(super) const NEW: &str = ".new-";

/// The name of a pod's directory while it is being made.
pub(super) fn aside(id: &PodId) -> String {
    format!("{NEW}{id}")
}

/// The directory of all pods; `None` before the first one is made.
pub(super) fn all(data: &Path) -> Result<Option<Place>> {
    Place::find(&data.join(PODS))
}

/// Whether the pod is there or is being made at this moment. What a killed creator left is removed.
pub(super) fn is_there(data: &Path, id: &PodId) -> Result<bool> {
    let Some(pods) = all(data)? else { return Ok(false) };
    // Before the pod itself is looked for, which may get its place meanwhile.
    if let Ok(Some(half_made)) = pods.below(&aside(id)) {
        if try_lock(&half_made)?.is_none() {
            return Ok(true);
        }
        if pods.look(aside(id))?.is_some() {
            let _ = trash::discard(data, &pods, aside(id));
        }
    }
    Ok(pods.look(id.as_str())?.is_some())
}

/// The lock of a directory when nobody else holds it.
pub(super) fn try_lock(place: &Place) -> Result<Option<Flock<OwnedFd>>> {
    let fail = |e| failed("lock", place.path(), e);
    let opened = place.as_fd().try_clone_to_owned().map_err(fail)?;
    match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, e)) => Err(fail(e.into())),
    }
}
