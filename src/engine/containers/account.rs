//! The user's own account, for containers with ids of their own.

use crate::container::ids::IdMaps;
use crate::error::Result;
use crate::plan::ids::{Account, IdsRequest};
use crate::{host, userns};

/// The user's own account, read where these ids make it count.
pub(in crate::engine) fn account_for(ids: &IdsRequest) -> Result<Account> {
    if *ids == IdsRequest::Same {
        return Ok(Account::default());
    }
    let ids = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    // An account of a directory has no entry that could be read here.
    let entry = host::account(&ids.0.to_string()).ok();
    let map = userns::shared_map()?;
    let available = map.available();
    Ok(Account { available, host: IdMaps { uids: map.uids, gids: map.gids }, ids, entry })
}
