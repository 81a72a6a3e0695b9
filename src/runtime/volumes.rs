//! Volumes as containers use them: who uses which, what a container needs made, what goes with it.
//!
//! Nothing is counted: a volume is in use when a container's plan names it, so a container that was
//! killed, half removed or made by hand never leaves a volume stuck. Removing looks under the store's
//! lock, and containers are recorded under it too, so neither overtakes the other.

use crate::container::{ContainerId, Name};
use crate::error::{Error, Kind, Result};
use crate::plan::{ContainerPlan, MountPlan, MountSource};
use crate::storage::Store;
use crate::storage::events::{Action, Event};
use crate::storage::volumes::Volume;
use serde::Deserialize;
use std::collections::BTreeMap;

pub mod archive;

/// The part of a plan that says which volumes it needs.
#[derive(Debug, Deserialize)]
struct Needs {
    mounts: Vec<MountPlan>,
}

/// Containers by the volumes they use.
#[derive(Debug, Default)]
pub struct Users(BTreeMap<Name, Vec<ContainerId>>);

impl Users {
    /// Reads every container's plan.
    ///
    /// # Errors
    /// When the containers cannot be listed. One whose plan is lost uses nothing.
    pub fn read(store: &Store) -> Result<Users> {
        let mut users = Users::default();
        for summary in store.containers().list()? {
            let Ok(dir) = store.containers().open(&summary.id) else { continue };
            let Ok(needs) = dir.plan::<Needs>() else { continue };
            for mount in needs.mounts {
                if let MountSource::Volume { name, .. } = mount.source {
                    let all = users.0.entry(name).or_default();
                    // A volume may be mounted at several places.
                    if all.last() != Some(&summary.id) {
                        all.push(summary.id.clone());
                    }
                }
            }
        }
        Ok(users)
    }

    /// The containers that use this volume, the latest first.
    pub fn of(&self, volume: &Name) -> &[ContainerId] {
        self.0.get(volume).map_or(&[], Vec::as_slice)
    }
}

/// Makes the volumes that a container's plan names and that do not exist; an anonymous one that belongs
/// to another container is marked as shared. Called once the container is recorded.
///
/// # Errors
/// When the file system refuses.
pub fn prepare(store: &Store, plan: &ContainerPlan) -> Result<()> {
    for mount in &plan.mounts {
        let MountSource::Volume { name, anonymous, .. } = &mount.source else { continue };
        match store.volumes().get(name)? {
            Some(volume) if volume.anonymous && !volume.shared => store.volumes().share(volume)?,
            Some(_) => {}
            None => drop(store.volumes().ensure(name, *anonymous)?),
        }
    }
    Ok(())
}

/// Removes the anonymous volumes of a container that is gone, but for those that another one uses.
///
/// # Errors
/// When one cannot be removed.
pub fn remove_anonymous(store: &Store, plan: &ContainerPlan) -> Result<()> {
    for name in plan.anonymous_volumes() {
        if store.volumes().get(name).is_ok_and(|volume| volume.is_some_and(|v| v.shared))
            && !Users::read(store)?.of(name).is_empty()
        {
            continue;
        }
        match store.volumes().remove(name) {
            Err(e) if e.kind() != Kind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Removes those of these volumes that still no container uses, under one lock; gives their names. They
/// are in the trash then.
///
/// # Errors
/// When one cannot be moved.
pub fn remove_unused(store: &Store, volumes: &[Volume]) -> Result<Vec<Name>> {
    let _lock = store.exclusive()?;
    let users = Users::read(store)?;
    let mut removed = Vec::new();
    for volume in volumes.iter().filter(|volume| users.of(&volume.name).is_empty()) {
        match store.volumes().remove(&volume.name) {
            // Somebody else was faster.
            Err(e) if e.kind() == Kind::NotFound => {}
            other => {
                other?;
                store.events().emit(Event::volume(Action::Prune, volume.name.as_str()));
                removed.push(volume.name.clone());
            }
        }
    }
    Ok(removed)
}

/// Removes a volume that no container uses. It is in the trash then.
///
/// # Errors
/// `Conflict` when a container uses it, `NotFound` when it is gone.
pub fn remove(store: &Store, volume: &Volume) -> Result<()> {
    let _lock = store.exclusive()?;
    let users = Users::read(store)?;
    let name = &volume.name;
    match users.of(name) {
        [] => store.volumes().remove(name),
        using => {
            let ids: Vec<&str> = using.iter().map(ContainerId::short).collect();
            Err(Error::new(Kind::Conflict, format!("volume {name} is used by container {}", ids.join(", ")))
                .hint(format!("Remove it with its containers: coracle volume rm --force {name}")))
        }
    }
}
