//! The container that holds the namespaces of a pod.

use crate::engine::containers::{keep, record};
use crate::error::{Kind, Result};
use crate::failpoint;
use crate::spec::{PodId, PodSpec};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use std::time::Duration;

/// How often it is looked for while another command makes it.
const TRIES: u32 = 200;
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// The infra container of a pod, made if it is not there; `None` for a pod without one.
///
/// # Errors
/// `NotFound` when the pod is gone; when the container cannot be made.
pub(in crate::engine) fn ensure(store: &Store, pod: &PodSpec) -> Result<Option<ContainerDir>> {
    let Some(plan) = pod.infra.as_deref() else { return Ok(None) };
    let mut tries = 0;
    loop {
        match store.containers().open(&plan.id) {
            Err(e) if e.kind() == Kind::NotFound => {}
            other => return other.map(Some),
        }
        tries += 1;
        let made = {
            let _pod = store.pods().hold(pod)?;
            // From here on its image is seen to be in use.
            let _lock = store.shared()?;
            record(store, plan, &plan.name)
        };
        failpoint::reach("pod.infra");
        match made {
            Ok(dir) => {
                keep(store, &dir, plan)?;
                return Ok(Some(dir));
            }
            // Another command may be at it.
            Err(e) if e.kind() == Kind::Storage && tries < TRIES => std::thread::sleep(PAUSE),
            Err(e) => return Err(e),
        }
    }
}

/// As [`ensure`], for the pod that a container's plan names; `None` where that is gone, too.
///
/// # Errors
/// As there, and a record that cannot be read.
pub(in crate::engine) fn of(store: &Store, pod: &PodId) -> Result<Option<ContainerDir>> {
    match store.pods().get(pod)? {
        Some(pod) => ensure(store, &pod),
        None => Ok(None),
    }
}
