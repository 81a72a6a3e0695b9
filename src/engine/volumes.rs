//! The volumes of containers: which containers use them, which need to be created, and which are removed with a
//! container.
//!
//! There is no reference count: a volume is in use if a container's plan names it, so a container that was
//! killed, half removed or created by hand never blocks a volume forever. Volumes are removed, and containers
//! recorded, under the store's lock, so the two cannot race.

use crate::container::{ContainerId, Name};
use crate::error::{Kind, Result, phrases};
use crate::spec::{ContainerSpec, MountSource};
use crate::storage::Store;
use crate::storage::events::{Action, Event};
use crate::storage::volumes::{Users, Volume};

pub mod archive;
pub mod filter;
mod removal;

pub use removal::{VolumeRemoval, remove_named};

/// Makes the volumes that a container's plan names and that do not exist; an anonymous one that belongs
/// to another container is marked as shared. Called once the container is recorded.
///
/// # Errors
/// When the file system refuses.
pub fn prepare(store: &Store, plan: &ContainerSpec) -> Result<()> {
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

/// Removes those of these volumes that still no container uses, under one lock; returns their names. They
/// are in the trash then.
///
/// # Errors
/// When one cannot be moved.
pub fn remove_unused(store: &Store, volumes: &[Volume]) -> Result<Vec<Name>> {
    let _lock = store.exclusive()?;
    let users = Users::read(store.containers())?;
    users.warn();
    let mut removed = Vec::new();
    for volume in volumes.iter().filter(|volume| users.is_free(&volume.name)) {
        match store.volumes().remove(&volume.name) {
            // Another command was faster.
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
/// `Conflict` when a container uses it, or may use it; `NotFound` when it is gone.
pub fn remove(store: &Store, name: &Name) -> Result<()> {
    let _lock = store.exclusive()?;
    let users = Users::read(store.containers())?;
    match users.of(name) {
        [] => match users.unreadable.first() {
            Some(unreadable) => Err(unreadable.refusal(&format!("volume {name}"))),
            None => store.volumes().remove(name),
        },
        using => {
            let ids: Vec<&str> = using.iter().map(ContainerId::as_str).collect();
            Err(phrases::volume_in_use(name.as_str(), &ids.join(", "))
                .hint(format!("Remove it with its containers: coracle volume rm --force {name}")))
        }
    }
}
