//! Removing containers that do not run, and emptying the trash.

use super::force::Target;
use super::recover::recover;
use crate::error::{Kind, Result};
use crate::runtime::cgroup;
use crate::storage::containers::{ContainerDir, DirLock};
use crate::storage::trash::{self, Swept};
use crate::storage::{Store, volumes};
use crate::userns;
use std::time::Duration;

/// Removes a container that does not run: its name is free and its directory in the trash when this
/// returns; [`sweep`] deletes it. With `volumes`, its anonymous volumes go too.
///
/// # Errors
/// When the directory cannot be moved.
pub fn remove(store: &Store, container: &ContainerDir, lock: &DirLock, volumes: bool) -> Result<()> {
    // A container whose plan is lost can be removed like any other.
    let plan = container.spec().ok();
    container.trash(lock)?;
    if let Some(plan) = &plan {
        // Its monitor may have been killed when only this was left to do.
        cgroup::clear(plan);
    }
    match plan.filter(|_| volumes) {
        Some(plan) => volumes::remove_anonymous(store.volumes(), store.containers(), &plan),
        None => Ok(()),
    }
}

/// Removes a container if it does not run: `false` when it does, or was removed by somebody else.
///
/// # Errors
/// When its records cannot be written or the directory cannot be moved.
pub fn remove_ended(store: &Store, container: &ContainerDir, volumes: bool) -> Result<bool> {
    recover(store, container)?;
    let lock = match container.lock() {
        Err(e) if e.kind() == Kind::NotFound => return Ok(false),
        other => other?,
    };
    if container.status().is_active() || container.is_about_to_start() || !container.in_place() {
        return Ok(false);
    }
    remove(store, container, &lock, volumes).map(|()| true)
}

/// Ends a container by all means, for its removal, within its patience and two seconds.
///
/// # Errors
/// When it could not be ended; the error says what keeps it.
pub fn end(store: &Store, container: &ContainerDir, signal: i32, patience: Option<Duration>) -> Result<()> {
    super::force::end(store, Target { container, signal, patience })
}

/// Deletes what is in the trash, in the user namespace where that is needed.
///
/// # Errors
/// When the trash cannot be read or the namespace cannot be entered.
pub fn sweep(store: &Store) -> Result<()> {
    if trash::sweep(store, usize::MAX)? == Swept::NeedsNamespace {
        userns::in_child(store.runtime(), &[], || trash::sweep(store, usize::MAX).map(drop))?;
    }
    Ok(())
}

/// Deletes what is in the trash, at the end of a verb whose work is done without: names and ports
/// are free already, and what cannot be deleted now is deleted by a later command.
pub fn tidy(store: &Store) {
    if let Err(error) = sweep(store) {
        log::warn!("empty the trash: {error}: {}", error.causes().join(": "));
    }
}
