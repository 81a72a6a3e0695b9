//! Image records that cannot be read, and objects that are not layers in the place of a layer.

use super::records::{ImageRecord, ListRecord, RefRecord};
use super::{IMAGES, Images, LISTS, REFS};
use crate::error::Result;
use crate::image::Digest;
use crate::storage::ExclusiveLock;
use crate::storage::place::{Place, is};
use crate::storage::record::warn_once;
use nix::sys::stat::SFlag;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// Something below the data root that is not what it should be.
#[derive(Debug)]
pub struct Lost {
    /// The directory that it is in, below the data root.
    pub kind: &'static str,
    /// Its name there.
    pub name: String,
    /// What is wrong.
    pub what: String,
}

impl Images {
    /// The records of our own images, lists and their names that cannot be read, and what is no layer among the layers.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn lost_records(&self) -> Result<Vec<Lost>> {
        let mut all = self.lost::<ImageRecord>(IMAGES)?;
        all.extend(self.lost::<RefRecord>(REFS)?);
        all.extend(self.lost_lists()?);
        const LAYERS: &str = "layers";
        let layers = self.own(LAYERS)?;
        for name in layers.names()? {
            let what = if format!("sha256:{name}").parse::<Digest>().is_err() {
                "its name is not a digest"
            } else if layers.look(&name)?.is_some_and(|found| !is(&found, SFlag::S_IFDIR)) {
                "it is not a directory"
            } else {
                continue;
            };
            all.push(Lost { kind: LAYERS, name, what: what.to_owned() });
        }
        Ok(all)
    }

    /// The records of our own lists that cannot be read.
    pub(super) fn lost_lists(&self) -> Result<Vec<Lost>> {
        match self.own_lists()? {
            Some(_) => self.lost::<ListRecord>(LISTS),
            None => Ok(Vec::new()),
        }
    }

    fn lost<T: DeserializeOwned>(&self, kind: &'static str) -> Result<Vec<Lost>> {
        let place = self.own(kind)?;
        let lost = |name: String| {
            let what = place.read::<T>(&name).err()?.in_one_line();
            Some(Lost { kind, name, what })
        };
        Ok(place.names()?.into_iter().filter_map(lost).collect())
    }

    /// Whether a record of our own store cannot be read, so that it may name anything.
    pub(super) fn has_lost_records(&self) -> Result<bool> {
        let images = !self.lost::<ImageRecord>(IMAGES)?.is_empty();
        Ok(images || !self.lost::<RefRecord>(REFS)?.is_empty() || !self.lost_lists()?.is_empty())
    }

    /// Puts it out of the way, below `damaged/`; returns where it is then. `None` when it is in order by now.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn set_aside(&self, _lock: &ExclusiveLock, lost: &Lost) -> Result<Option<PathBuf>> {
        if !self.lost_records()?.iter().any(|still| (still.kind, &still.name) == (lost.kind, &lost.name)) {
            return Ok(None);
        }
        let aside = Place::open(&self.roots.data.join(lost.kind))?.set_aside(&lost.name, &self.roots.data)?;
        if lost.kind != "layers" {
            self.write_index()?;
        }
        Ok(Some(aside))
    }
}

/// Says that what a record may name that cannot be read is kept.
pub(super) fn warn() {
    warn_once(
        "images",
        "the records of an image cannot be read; layers and blobs that it may need are kept. Repair it: coracle system check --repair",
    );
}
