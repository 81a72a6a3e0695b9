//! Renaming a container.

use super::find::{find, holder};
use crate::container::Name;
use crate::engine::networks;
use crate::error::{Kind, Result};
use crate::failpoint;
use crate::storage::Store;
use crate::storage::events::Action;

/// Renames a container, running or not. Its host name stays; networks answer for the new name at once.
///
/// # Errors
/// `NotFound` for a container that does not exist; `Conflict` for a name that is taken.
pub fn rename(store: &Store, container: &str, name: &Name) -> Result<()> {
    let dir = find(store, container)?;
    if let Err(error) = store.containers().rename(&dir, name) {
        // Only the records of the name's holder may be left.
        if error.kind() != Kind::Conflict || holder(store, name).is_some() {
            return Err(error);
        }
        store.containers().rename(&dir, name)?;
    }
    failpoint::reach("rename.renamed");
    dir.emit(Action::Rename);
    // It has its name, whoever knows of it.
    if let Err(error) = networks::follow_name(&dir) {
        log::warn!("networks do not answer for the name {name} yet: {error}");
    }
    Ok(())
}
