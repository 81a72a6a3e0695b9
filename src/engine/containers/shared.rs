//! Replaces the names of containers whose namespaces are shared by their ids, before anything changes.

use super::find::find;
use crate::engine::networks;
use crate::error::{Error, Kind, Result};
use crate::plan::Request;
use crate::plan::ids::IdsRequest;
use crate::runtime::join::check_ipc;
use crate::spec::{NetworkMode, Share};
use crate::storage::Store;

/// Puts the ids of the containers that the request names in place of what was written.
///
/// # Errors
/// `NotFound` for a container that does not exist.
pub(in crate::engine) fn look_up(store: &Store, request: &mut Request) -> Result<()> {
    let spaces = &mut request.namespaces;
    let mut joined = None;
    let mut id_of = |name: &str| {
        let found = find(store, name)?;
        joined = Some(found.spec()?.ids);
        Ok::<_, Error>(found.id().to_string())
    };
    if let Share::Container(name) = &spaces.uts {
        let plan = find(store, name)?.spec()?;
        request.shared_hostname = Some(plan.hostname);
    }
    if let Share::Container(name) = &spaces.ipc {
        check_ipc(&find(store, name)?)?;
    }
    for share in [&mut spaces.pid, &mut spaces.ipc, &mut spaces.uts, &mut spaces.cgroup, &mut spaces.user] {
        if let Share::Container(name) = share {
            *name = id_of(name)?;
        }
    }
    networks::look_up(store, &mut request.network.mode)?;
    if let NetworkMode::Container(name) = &mut request.network.mode {
        *name = id_of(name)?;
    }
    match joined {
        Some(_) if request.ids != IdsRequest::Same => {
            return Err(Error::new(
                Kind::Usage,
                "a container that shares another's namespaces also has its user ids",
            )
            .hint("Leave out --userns and --uidmap, or the options that share namespaces."));
        }
        Some(ids) if ids.is_shifted() => request.ids = IdsRequest::Of(ids),
        _ => {}
    }
    Ok(())
}
