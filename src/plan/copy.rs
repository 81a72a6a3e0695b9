//! The plan of a container's clone.

use crate::container::{ContainerId, Name};
use crate::error::Result;
use crate::spec::{ContainerSpec, MountSource};
use chrono::{DateTime, Utc};

/// The plan of a container that is to be as another one was made, under an identity of its own: its host
/// name and its anonymous volumes are new. A pid file stays with the first one.
///
/// # Errors
/// Those of `volume`, which makes the names of the volumes.
pub fn copy(
    plan: &ContainerSpec,
    id: ContainerId,
    name: Name,
    created: DateTime<Utc>,
    mut volume: impl FnMut() -> Result<Name>,
) -> Result<ContainerSpec> {
    let mut copy = plan.clone();
    if plan.hostname == plan.id.short() {
        id.short().clone_into(&mut copy.hostname);
        for entry in &mut copy.process.env {
            if *entry == format!("HOSTNAME={}", plan.hostname) {
                *entry = format!("HOSTNAME={}", id.short());
            }
        }
    }
    for mount in &mut copy.mounts {
        if let MountSource::Volume { name, anonymous: true, .. } = &mut mount.source {
            *name = volume()?;
        }
    }
    copy.lifecycle.pidfile = None;
    copy.lifecycle.id_file = None;
    copy.lifecycle.replaces = None;
    copy.process.preserve_fds = 0;
    Ok(ContainerSpec { id, name, created, ..copy })
}
