//! Which containers use which volumes.
//!
//! There is no reference count: a volume is in use if a container's plan names it, so a container that was
//! killed, half removed or created by hand never blocks a volume forever.

use super::Volumes;
use crate::container::{ContainerId, Name};
use crate::error::{Kind, Result};
use crate::spec::{ContainerSpec, MountSource};
use crate::storage::containers::{Containers, Unreadable};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Containers by the volumes they use.
#[derive(Debug, Default)]
pub struct Users {
    known: BTreeMap<Name, Vec<ContainerId>>,
    /// Those of which nobody can tell.
    pub unreadable: Vec<Unreadable>,
}

impl Users {
    /// Reads every container's plan.
    ///
    /// # Errors
    /// When the containers cannot be listed.
    pub fn read(containers: &Containers) -> Result<Users> {
        let mut specs = containers.specs()?;
        specs.read.sort_by_key(|(_, spec)| Reverse(spec.created));
        let mut known: BTreeMap<Name, Vec<ContainerId>> = BTreeMap::new();
        for (dir, spec) in specs.read {
            for mount in spec.mounts {
                if let MountSource::Volume { name, .. } = mount.source {
                    let all = known.entry(name).or_default();
                    // A volume may be mounted at several places.
                    if all.last() != Some(dir.id()) {
                        all.push(dir.id().clone());
                    }
                }
            }
        }
        Ok(Users { known, unreadable: specs.unreadable })
    }

    /// The containers that use this volume, the latest first.
    pub fn of(&self, volume: &Name) -> &[ContainerId] {
        self.known.get(volume).map_or(&[], Vec::as_slice)
    }

    /// Whether it is sure that no container uses this volume. It is not while the plan of one cannot be read.
    pub fn is_free(&self, volume: &Name) -> bool {
        self.of(volume).is_empty() && self.unreadable.is_empty()
    }

    /// Says which containers keep volumes from being removed, as nobody knows which are theirs.
    pub fn warn(&self) {
        self.unreadable.iter().for_each(Unreadable::warn);
    }
}

/// Removes the anonymous volumes of a container that is gone, except for those that another one uses.
///
/// # Errors
/// When one cannot be removed.
pub fn remove_anonymous(volumes: &Volumes, containers: &Containers, plan: &ContainerSpec) -> Result<()> {
    for name in plan.anonymous_volumes() {
        if volumes.get(name).is_ok_and(|volume| volume.is_some_and(|v| v.shared))
            && !Users::read(containers)?.is_free(name)
        {
            continue;
        }
        match volumes.remove(name) {
            Err(e) if e.kind() != Kind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}
