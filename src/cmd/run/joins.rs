//! Whose namespaces are shared: names of containers become ids, before anything changes.

use crate::error::Result;
use crate::netns::NetMode;
use crate::plan::{ContainerPlan, Request, Share};
use crate::storage::Store;

/// Puts the ids of the containers that the request names in place of what was written.
///
/// # Errors
/// `NotFound` for a container that does not exist.
pub fn look_up(store: &Store, request: &mut Request) -> Result<()> {
    let spaces = &mut request.namespaces;
    let id_of = |name: &str| store.containers().find(name).map(|found| found.id().to_string());
    if let Share::Container(name) = &spaces.uts {
        let plan: ContainerPlan = store.containers().find(name)?.plan()?;
        request.shared_hostname = Some(plan.hostname);
    }
    for share in [&mut spaces.pid, &mut spaces.ipc, &mut spaces.uts, &mut spaces.cgroup, &mut spaces.user] {
        if let Share::Container(name) = share {
            *name = id_of(name)?;
        }
    }
    if let NetMode::Container(name) = &mut request.network.mode {
        *name = id_of(name)?;
    }
    Ok(())
}
