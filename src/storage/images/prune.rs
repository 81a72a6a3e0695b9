//! Removing the images that nobody needs.

use super::{Images, Listed, Removed};
use crate::error::Result;
use crate::storage::ExclusiveLock;

impl Images {
    /// Removes the images of our own store that no container was made from and that have no name, or
    /// with `all` whatever their names; only those that `wanted` accepts. Gives them as they were, with
    /// what their removal did.
    ///
    /// # Errors
    /// As [`Images::remove`]; those before the failing one are gone.
    pub fn prune(
        &self,
        lock: &ExclusiveLock,
        all: bool,
        wanted: impl Fn(&Listed) -> bool,
    ) -> Result<Vec<(Listed, Removed)>> {
        let mut gone = Vec::new();
        for listed in self.list()? {
            let candidate = !listed.read_only && (all || listed.names.is_empty());
            if candidate && wanted(&listed) && self.users(&listed.image.id)?.is_empty() {
                let removed = self.remove(lock, &listed.image.id)?;
                gone.push((listed, removed));
            }
        }
        Ok(gone)
    }
}
