//! Renaming a container.

use super::find::{find, holder};
use crate::container::Name;
use crate::error::{Kind, Result};
use crate::storage::Store;
use crate::storage::events::Action;

/// Renames a container, running or not. Its host name stays.
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
    dir.emit(Action::Rename);
    Ok(())
}
