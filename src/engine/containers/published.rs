//! Where a container's ports are published.

use crate::container::Status;
use crate::error::{Kind, Result};
use crate::spec::NetworkMode;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, PortRecord};

/// The ports by which a container is reached while it runs; one in the network of another has that one's, as with
/// podman. None where nothing runs.
///
/// # Errors
/// Records that cannot be read.
pub fn published(store: &Store, container: &ContainerDir) -> Result<Vec<PortRecord>> {
    if !matches!(container.status(), Status::Running | Status::Paused) {
        return Ok(Vec::new());
    }
    let own = container.run_record()?.map_or(Vec::new(), |run| run.ports);
    if !own.is_empty() {
        return Ok(own);
    }
    // Nobody has the network of one that has it of another.
    let NetworkMode::Container(id) = container.spec()?.network.mode else { return Ok(own) };
    match store.containers().find(&id) {
        Ok(owner) => Ok(owner.run_record()?.map_or(Vec::new(), |run| run.ports)),
        Err(e) if e.kind() == Kind::NotFound => Ok(own),
        Err(e) => Err(e),
    }
}
