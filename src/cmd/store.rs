//! Opens the store that the command line names.

use crate::error::Result;
use crate::host::Env;
use crate::storage::Store;

/// The store the command line means.
pub(super) fn store(env: &Env) -> Result<Store> {
    let store = Store::open(&env.roots.data, &env.roots.runtime, &env.roots.image_stores)?;
    Ok(store.overlaid_by(env.roots.overlay))
}
