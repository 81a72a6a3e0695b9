//! Removing a volume with the containers that use it.

use super::remove;
use crate::container::Name;
use crate::engine::containers;
use crate::error::{Kind, Result};
use crate::storage::Store;
use crate::storage::volumes::Users;

/// How a volume is removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct VolumeRemoval {
    /// Remove the containers that use it first.
    pub force: bool,
    /// With `force`: how many seconds they get before they are killed; negative is for ever.
    pub time: Option<i64>,
}

/// Removes a volume, by its name or a unique beginning of it; gives the name.
///
/// # Errors
/// `NotFound` when there is none; `Conflict` when a container uses it.
pub fn remove_named(store: &Store, name: &str, request: VolumeRemoval) -> Result<Name> {
    let volume = store.volumes().find_name(name)?;
    // A container whose monitor died may be all that uses it.
    containers::settle_all(store)?;
    // Somebody may start another container meanwhile.
    for _ in 0..4 {
        if request.force {
            let users = Users::read(store.containers())?;
            users.of(&volume).iter().try_for_each(|id| containers::remove_user(store, id, request.time))?;
        }
        match remove(store, &volume) {
            Err(e)
                if e.kind() == Kind::Conflict
                    && request.force
                    && !Users::read(store.containers())?.of(&volume).is_empty() => {}
            // The last container took an anonymous one along.
            Err(e) if e.kind() == Kind::NotFound && request.force => return Ok(volume),
            other => return other.map(|()| volume),
        }
    }
    remove(store, &volume).map(|()| volume)
}
