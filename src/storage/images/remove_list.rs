//! Removing lists.

use super::lists::read_only;
use super::records::{ListRecord, Target};
use super::remove::Removed;
use super::{Images, LISTS, REFS, key};
use crate::error::Result;
use crate::image::Digest;
use crate::storage::ExclusiveLock;

impl Images {
    /// Removes a list with all its names, and the blob of its index. Its images stay.
    ///
    /// The order: its names one by one, its record, what is derived of both, the blob. Whoever is killed in between
    /// leaves a list that lacks names, or a blob that nothing names.
    ///
    /// # Errors
    /// When it lies in an additional store, or the file system refuses.
    pub fn remove_list(&self, lock: &ExclusiveLock, id: &Digest) -> Result<Removed> {
        let lists = self.own_lists()?.filter(|lists| lists.has_file(id.hex()));
        let lists = lists.ok_or_else(|| read_only("list", id))?;
        let index = lists.read::<ListRecord>(id.hex())?.map(|record| record.index.digest);
        let mut removed = Removed { deleted: Some(id.clone()), ..Removed::default() };
        for (found, read_only) in self.ref_records()? {
            if matches!(&found.target, Target::List { list } if list == id) && !read_only {
                self.own(REFS)?.remove_file(key(&found.reference).hex())?;
                removed.untagged.push(found.reference);
                crate::failpoint::reach("rmi.untagged");
            }
        }
        self.own(LISTS)?.remove_file(id.hex())?;
        crate::failpoint::reach("rmi.list");
        self.derive_index();
        self.discard_blobs(lock, index.as_slice())?;
        Ok(self.told(id, removed))
    }

    /// The lists of our own store whose index is missing or has other content, each with what is wrong.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn damaged_lists(&self) -> Result<Vec<(Digest, String)>> {
        let own = self.list_records()?.into_iter().filter(|(_, read_only)| !read_only);
        let wrong = own.filter_map(|(record, _)| {
            let id = record.id.clone();
            self.as_it_is(record).err().map(|error| (id, error.in_one_line()))
        });
        Ok(wrong.collect())
    }
}
