//! Unmounting what is shown of containers and images that are gone.

use super::{Mounts, Sort};
use crate::error::Result;
use crate::storage::place::Place;
use crate::storage::store::Store;

impl Store {
    /// Unmounts what this process's mount namespace still shows of containers and images that have been removed. Costs two
    /// looks where nothing is shown. Other namespaces keep such mounts, without their files, until they end.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn unmount_gone(&self) -> Result<()> {
        Mounts::of(self.data()).take_back_gone(|sort, id| match sort {
            Sort::Container => self.data().join("containers").join(id).exists(),
            Sort::Image => self.roots.readable().any(|data| {
                let records = Place::find(&data.join("images"));
                // One that cannot be looked at may be there.
                records.map_or(true, |found| found.is_some_and(|records| records.has_file(id)))
            }),
        })
    }
}
