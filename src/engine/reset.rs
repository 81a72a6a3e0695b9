//! Removing everything.

use super::containers;
use crate::error::{Error, Kind, Result};
use crate::host::Roots;
use crate::storage::{ExclusiveLock, Store};
use std::time::Duration;

/// Time for containers to end by themselves.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many times containers that were created meanwhile are stopped.
const ROUNDS: usize = 10;
const SIGTERM: i32 = 15;

/// Stops and removes everything: containers, images, volumes, secrets and the directories of the store.
///
/// # Errors
/// A container that cannot be stopped; then nothing else is removed.
pub fn reset(store: &Store, roots: &Roots) -> Result<()> {
    let lock = without_containers(store)?;
    store.discard_everything(&lock)?;
    containers::sweep(store)?;
    let gone = store.remove_root(lock)?;
    for part in ["c", "userns"] {
        // No process is left that could use it; the next command recreates the directory.
        let _ = std::fs::remove_dir_all(roots.runtime.join(part));
    }
    let _ = std::fs::remove_dir(&roots.runtime);
    // If the runtime directory was in it, it is empty only now.
    if !gone && std::fs::remove_dir(&roots.data).is_err() {
        log::info!("{} is kept: it has other files in it, or is a mount point", roots.data.display());
    }
    Ok(())
}

/// Stops and removes all containers, and returns the lock under which no other can be created. Checks again
/// once it holds the lock, because a container that was created before but not started would start without
/// its records.
fn without_containers(store: &Store) -> Result<ExclusiveLock> {
    for _ in 0..ROUNDS {
        end_all(store)?;
        let lock = store.exclusive()?;
        if !store.containers().list()?.iter().any(|found| store.containers().open(&found.id).is_ok()) {
            return Ok(lock);
        }
    }
    Err(Error::new(Kind::Conflict, "containers keep being created")
        .hint("Stop what creates them, then run it again: coracle system reset"))
}

fn end_all(store: &Store) -> Result<()> {
    for summary in containers::list(store)? {
        // One that removes itself may be gone by now.
        let Ok(container) = store.containers().open(&summary.id) else { continue };
        if summary.status.is_live() || container.is_alive() {
            containers::end(store, &container, SIGTERM, Some(PATIENCE))?;
        }
        if let Ok(lock) = container.lock() {
            containers::remove(store, &container, &lock, true)?;
        }
    }
    Ok(())
}
