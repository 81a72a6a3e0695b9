//! Finding containers, after cleaning up those whose monitor died.

use super::recover::settle;
use crate::container::{Name, Status};
use crate::error::Result;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Summary};

/// Finds a container by full id, name or unique beginning of an id. A `--rm` container whose monitor died no
/// longer exists.
///
/// # Errors
/// `NotFound`; `Conflict` when several ids begin like that.
pub fn find(store: &Store, text: &str) -> Result<ContainerDir> {
    let found = store.containers().find(text)?;
    settle(store, &found);
    if found.in_place() { Ok(found) } else { store.containers().find(text) }
}

/// The container that has exactly this name; a name left over from a removal, or from a `--rm` container
/// whose monitor died, is free.
pub(super) fn holder(store: &Store, name: &Name) -> Option<ContainerDir> {
    let found = find(store, name.as_str()).ok()?;
    (found.is_listed() && found.summary().name().as_ref() == Some(name)).then_some(found)
}

/// The containers, newest first, after cleaning up those whose monitor died.
///
/// # Errors
/// When the containers cannot be listed.
pub fn list(store: &Store) -> Result<Vec<Summary>> {
    let list = store.containers().list()?;
    let is_left = |s: &&Summary| {
        s.status == Status::Crashed || s.status == Status::Exited && s.auto_remove && s.run > 0
    };
    if !list.iter().any(|s| is_left(&s)) {
        return Ok(list);
    }
    for left in list.iter().filter(is_left) {
        if let Ok(container) = store.containers().open(&left.id) {
            settle(store, &container);
        }
    }
    store.containers().list()
}

/// Cleans up after all monitors that died, so that names, volumes and images then are in use by existing
/// containers only.
///
/// # Errors
/// When the containers cannot be listed.
pub fn settle_all(store: &Store) -> Result<()> {
    list(store).map(drop)
}
