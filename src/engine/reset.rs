//! Removing everything.

use super::containers;
use crate::error::{Error, Kind, Result};
use crate::host::Roots;
use crate::storage::{ExclusiveLock, Store};
use std::time::Duration;

/// How long containers may take to end by themselves.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often containers that were made meanwhile are ended.
const ROUNDS: usize = 10;
const SIGTERM: i32 = 15;

/// Ends and removes everything: containers, images, volumes, secrets and the directories of the store.
///
/// # Errors
/// A container that cannot be ended, and then nothing else is removed.
pub fn reset(store: &Store, roots: &Roots) -> Result<()> {
    let lock = without_containers(store)?;
    store.discard_everything(&lock)?;
    containers::sweep(store)?;
    let gone = store.remove_root(lock)?;
    for part in ["c", "userns"] {
        // Nothing lives that could use it; the directory itself is made anew by the next command.
        let _ = std::fs::remove_dir_all(roots.runtime.join(part));
    }
    let _ = std::fs::remove_dir(&roots.runtime);
    // Only now is it empty where the runtime directory was in it.
    if !gone && std::fs::remove_dir(&roots.data).is_err() {
        log::info!("{} is left: it holds what is not the store's, or is a mount point", roots.data.display());
    }
    Ok(())
}

/// Ends and removes all containers, and gives the lock under which no other is made. Looks again when it
/// has it: one that was made before, and not started yet, would start without its records.
fn without_containers(store: &Store) -> Result<ExclusiveLock> {
    for _ in 0..ROUNDS {
        end_all(store)?;
        let lock = store.exclusive()?;
        if !store.containers().list()?.iter().any(|found| store.containers().open(&found.id).is_ok()) {
            return Ok(lock);
        }
    }
    Err(Error::new(Kind::Conflict, "containers are being made all the time")
        .hint("End what makes them, then do it once more: coracle system reset"))
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
