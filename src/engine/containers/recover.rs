//! Cleaning up after a monitor that died.

use super::remove::remove;
use crate::container::Status;
use crate::error::Result;
use crate::failpoint;
use crate::runtime::cgroup;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;

/// Cleans up after a monitor that died: what is left of the run is killed, and an exit record with
/// [`LOST_EXIT_CODE`] is written; a `--rm` container is removed. Does nothing while the monitor lives.
///
/// # Errors
/// When a record cannot be written.
pub fn recover(store: &Store, container: &ContainerDir) -> Result<()> {
    unless_gone(container, finish_and_remove(store, container))
}

/// Cleans up after a monitor that died, if there is one; called before a container is used. If nothing can be
/// written, the container is left as it is.
pub(super) fn settle(store: &Store, container: &ContainerDir) {
    let leftover = match container.status() {
        Status::Crashed => true,
        // Its monitor was killed between its exit record and the removal.
        Status::Exited => container.summary().auto_remove && !container.is_alive(),
        _ => false,
    };
    if leftover && let Err(error) = recover(store, container) {
        log::info!("container {} is left as it is: {error}", container.id().short());
    }
}

/// Ignores a failure with a container that was removed meanwhile.
pub(super) fn unless_gone(container: &ContainerDir, result: Result<()>) -> Result<()> {
    if container.in_place() { result } else { Ok(()) }
}

fn finish_and_remove(store: &Store, container: &ContainerDir) -> Result<()> {
    if container.finish_dead()?.is_some()
        && let Ok(plan) = container.spec()
    {
        cgroup::clear(&plan);
    }
    failpoint::reach("recover.finished");
    let leftover = container.summary();
    if leftover.auto_remove && leftover.run > 0 && !container.is_alive() {
        let lock = container.lock()?;
        if container.status() == Status::Exited {
            remove(store, container, &lock, true)?;
        }
    }
    Ok(())
}
