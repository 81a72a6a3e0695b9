//! Removing containers that are not running, and emptying the trash.

use crate::error::Result;
use crate::runtime::cgroup;
use crate::storage::containers::{ContainerDir, DirLock};
use crate::storage::trash::{self, Swept};
use crate::storage::{Store, volumes};
use crate::userns;

/// Removes a container that is not running: its name is free and its directory in the trash when this
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

/// Deletes what is in the trash, and unmounts it where it is shown beside this process, in the user namespace where that is needed.
///
/// # Errors
/// When the trash cannot be read or the namespace cannot be entered.
pub fn sweep(store: &Store) -> Result<()> {
    store.unmount_gone()?;
    if trash::sweep(store, usize::MAX)? == Swept::NeedsNamespace {
        userns::in_child(store.runtime(), &[], || trash::sweep(store, usize::MAX).map(drop))?;
    }
    Ok(())
}

/// Deletes what is in the trash, at the end of a verb whose work is done without: names and ports
/// are free already, and what cannot be deleted now is deleted by a later command.
pub fn tidy(store: &Store) {
    if let Err(error) = sweep(store) {
        log::warn!("empty the trash: {}", error.in_one_line());
    }
}
