//! Operations on images.

pub mod aliases;
pub mod commit;
pub mod filter;
pub mod history;
pub mod import;
pub mod load;
pub mod pull;
pub mod push;
pub mod remove;
pub mod save;
pub mod scp;
pub mod search;
pub mod tag;
pub mod trust;

use crate::error::Result;
use crate::storage::{MakingLock, Store, trash};
use crate::userns;

/// The user namespace that owns the store's layers, entered to make some.
#[derive(Debug)]
pub struct Maker {
    _member: userns::Membership,
    _making: MakingLock,
}

/// Enters the user namespace that owns the store's layers; for leaves that write there. What killed commands have
/// left goes the way of the trash, a little with each call.
///
/// # Errors
/// When the namespace cannot be entered, or the layers were made with other ids.
pub fn enter(store: &Store) -> Result<Maker> {
    let member = userns::enter(store.runtime())?;
    if member.has_one_id() {
        log::warn!("{}", userns::ONE_ID);
    }
    store.check_id_map()?;
    trash::collect_leftovers(store)?;
    trash::sweep(store, 2)?;
    Ok(Maker { _member: member, _making: store.making()? })
}
