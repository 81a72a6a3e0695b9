//! Images by name and by id.
//!
//! Theory of operation. `refs/<hash of the canonical reference>` says which image and manifest a name refers
//! to, or which list of images; `images/<id>` says that an image exists, and which manifests it came with;
//! `lists/<id>` likewise of a list ([`lists`]). Each is a small file, replaced as a whole. Looking up a cached image by
//! name reads two small files: its reference record and its configuration blob. `oci/index.json` is derived from these
//! records after each change, for other programs that read the layout; nothing here reads it. Images of which blobs are
//! missing are not in it.

mod aliases;
mod check;
mod damage;
mod family;
mod find;
mod found;
mod index;
mod listing;
mod lists;
mod names;
mod parents;
mod postponed;
mod prune;
mod pushed;
mod recording;
mod records;
mod remove;
mod remove_list;
mod together;
mod unnamed;

pub use self::aliases::Aliases;
pub use self::check::Damaged;
pub use self::damage::Lost;
pub use self::found::{Found, Instance, List};
pub use self::records::{ManifestRef, Part};
pub use self::remove::{Removal, Removed};

use self::postponed::Postponed;
use self::records::{ImageRecord, ListRecord, RefRecord};
use super::blobs::Blobs;
use super::build::BuildCache;
use super::layers::Layers;
use super::lock::open_lock;
use super::place::Place;
use super::record::failed;
use super::roots::Roots;
use crate::error::{Context, Error, Kind, Result};
use crate::image::{ChainId, Digest, Image, ImageConfig, Reference, document};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::sync::Arc;

/// Where the records of names are, below the data root.
const REFS: &str = "refs";
/// Where those of images are.
const IMAGES: &str = "images";
/// And those of lists.
const LISTS: &str = "lists";

/// The images of a store, our own and those of additional read-only stores.
#[derive(Debug, Clone)]
pub struct Images {
    roots: Arc<Roots>,
    blobs: Blobs,
    layers: Layers,
    build_cache: BuildCache,
    postponed: Arc<Postponed>,
    aliases: Aliases,
}

/// A pulled, built or loaded image, to be recorded.
#[derive(Debug)]
pub struct NewImage<'a> {
    /// The manifest's bytes, exactly as they came.
    pub manifest: &'a [u8],
    /// The manifest's media type.
    pub media_type: &'a str,
    /// The configuration's bytes, exactly as they came.
    pub config: &'a [u8],
    /// The names it gets; each with a registry.
    pub names: &'a [Reference],
    /// The digest of the index the manifest was chosen from, if it came from one.
    pub index: Option<&'a Digest>,
    /// Whether a registry has it under these names: it was pulled.
    pub from_registry: bool,
}

/// As much of an image as listings show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// Its id.
    pub id: Digest,
    /// The digest of its manifest, the newest one if there are several.
    pub manifest: Digest,
    /// Its layers' chain ids, bottom first.
    pub layers: Vec<ChainId>,
    /// Operating system in Go's naming.
    pub os: String,
    /// Architecture in Go's naming.
    pub architecture: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many steps its history has.
    steps: usize,
}

/// An image in a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The image.
    pub image: Brief,
    /// Its names, sorted; empty for a dangling image.
    pub names: Vec<Reference>,
    /// `repository@digest` of everything it was named, pulled and pushed as; those of registries first.
    pub digests: Vec<String>,
    /// Those of them that a registry has or had; the latest first.
    pub remote: Vec<String>,
    /// The names it has had, those that it has now before the others; the latest first.
    pub history: Vec<String>,
    /// When it was made, or else added.
    pub created: DateTime<Utc>,
    /// Bytes of file content in its layers.
    pub size: u64,
    /// Bytes of those that other images stand on, too.
    pub shared: u64,
    /// Whether it lies in an additional store, and cannot be removed.
    pub read_only: bool,
    /// Whether it is a list of images, and no image itself: then the image here has no content.
    pub is_list: bool,
    /// The lists that have it, by id.
    pub lists: Vec<Digest>,
    /// Whether another image was made of it by one more step. Looked up for images without a name only.
    pub has_children: bool,
}

impl Listed {
    /// The names that are a tag: one by digest says what the image is, and tags nothing.
    pub fn tags(&self) -> Vec<String> {
        let names = self.names.iter().filter(|name| name.digest().is_none());
        names.map(ToString::to_string).collect()
    }

    /// `repository@digest` of its names, and of where it was pushed to: of what it was named once, nothing is told.
    pub fn repo_digests(&self) -> Vec<String> {
        self.of_its_names(&self.digests)
    }

    /// As [`Listed::repo_digests`], those only that a registry has or had.
    pub fn remote_digests(&self) -> Vec<String> {
        self.of_its_names(&self.remote)
    }

    fn of_its_names(&self, digests: &[String]) -> Vec<String> {
        let named: HashSet<String> = self.names.iter().map(Reference::repository).collect();
        let former = self.history.iter().filter_map(|name| name.parse::<Reference>().ok());
        let gone: HashSet<String> =
            former.map(|name| name.repository()).filter(|at| !named.contains(at)).collect();
        let is_told = |digest: &&String| digest.split_once('@').is_some_and(|(at, _)| !gone.contains(at));
        digests.iter().filter(is_told).cloned().collect()
    }

    /// The digest that a registry has the image as under a name: what was last pulled from its repository or pushed to
    /// it. `None` if it never was.
    pub fn digest_of(&self, name: &Reference) -> Option<&str> {
        let repository = name.repository();
        let all = self.remote.iter().filter_map(|digest| digest.split_once('@'));
        all.into_iter().find(|(there, _)| *there == repository).map(|(_, digest)| digest)
    }

    /// The digest of the image's manifest under a name, its first one for `None`: that of the manifest here, unless a
    /// registry has another one only, as layers were compressed on their way.
    pub fn manifest_of(&self, name: Option<&Reference>) -> &str {
        let (name, here) = (name.or(self.names.first()), self.image.manifest.as_str());
        let there = |name: &&Reference| self.remote.contains(&format!("{}@{here}", name.repository()));
        name.filter(|name| !there(name)).and_then(|name| self.digest_of(name)).unwrap_or(here)
    }

    /// Whether it has no name, no list has it, and no other image was made of it.
    pub fn is_dangling(&self) -> bool {
        self.names.is_empty() && self.lists.is_empty() && !self.has_children
    }
}

impl Images {
    /// The same images, where short names may be aliases.
    pub(super) fn with_aliases(self, aliases: Aliases) -> Images {
        Images { aliases, ..self }
    }

    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Images {
            blobs: Blobs::new(roots.clone()),
            layers: Layers::new(roots.clone()),
            build_cache: BuildCache::new(roots.clone()),
            postponed: Arc::default(),
            aliases: Aliases::default(),
            roots,
        }
    }

    fn load_image(&self, id: &Digest, manifest: &Digest, reference: Option<Reference>) -> Result<Found> {
        self.load(id, manifest, reference).map(|image| Found::Image(Box::new(image)))
    }

    fn load(&self, id: &Digest, manifest: &Digest, reference: Option<Reference>) -> Result<Image> {
        self.load_from(&self.blobs.read(id)?, id, manifest, reference)
    }

    /// As [`Images::load`], with the bytes of the configuration, if there are any.
    fn load_from(
        &self,
        bytes: &Option<Vec<u8>>,
        id: &Digest,
        manifest: &Digest,
        reference: Option<Reference>,
    ) -> Result<Image> {
        let lost = || {
            Error::new(Kind::Storage, format!("the configuration of image {} is missing", id.short()))
                .hint("Fetch the image again: coracle pull IMAGE")
        };
        let config = parse_config(bytes.as_ref().ok_or_else(lost)?, id)?;
        let layers = ChainId::chain(&config.rootfs.diff_ids);
        Ok(Image { id: id.clone(), manifest: manifest.clone(), reference, layers, config })
    }

    /// Whether the image or list lies in our own store, and not only in an additional one.
    pub fn is_own(&self, id: &Digest) -> bool {
        [IMAGES, LISTS].iter().any(|kind| self.own(kind).is_ok_and(|place| place.has_file(id.hex())))
    }

    /// One of the directories of records of our own store.
    fn own(&self, kind: &str) -> Result<Place> {
        Place::open(&self.roots.data.join(kind))
    }

    /// All reference records with whether they lie in an additional store.
    fn ref_records(&self) -> Result<Vec<(RefRecord, bool)>> {
        self.records(REFS)
    }

    /// All image records with whether they lie in an additional store; one that is in several counts
    /// once, our own first.
    fn image_records(&self) -> Result<Vec<(ImageRecord, bool)>> {
        let mut all: Vec<(ImageRecord, bool)> = self.records(IMAGES)?;
        let mut seen = HashSet::new();
        all.retain(|(r, _)| seen.insert(r.id.clone()));
        Ok(all)
    }

    /// The record of an image with whether it lies in an additional store, our own first; `None` when it is not here.
    fn image_record(&self, id: &Digest) -> Result<Option<(ImageRecord, bool)>> {
        for (position, data) in self.roots.readable().enumerate() {
            let Some(place) = Place::find(&data.join(IMAGES))? else { continue };
            if let Some(found) = place.read(id.hex())? {
                return Ok(Some((found, position > 0)));
            }
        }
        Ok(None)
    }

    /// All records of lists with whether they lie in an additional store; one that is in several counts once.
    fn list_records(&self) -> Result<Vec<(ListRecord, bool)>> {
        let mut all: Vec<(ListRecord, bool)> = self.records(LISTS)?;
        let mut seen = HashSet::new();
        all.retain(|(record, _)| seen.insert(record.id.clone()));
        Ok(all)
    }

    /// The directory of our own lists, if there ever was one.
    fn own_lists(&self) -> Result<Option<Place>> {
        Place::find(&self.roots.data.join(LISTS))
    }

    /// The records that can be read. An unreadable one does not affect the others; code that decides what is unused
    /// asks [`Images::has_unreadable`] besides.
    fn records<T: serde::de::DeserializeOwned>(&self, kind: &str) -> Result<Vec<(T, bool)>> {
        let mut all = Vec::new();
        for (position, data) in self.roots.readable().enumerate() {
            let Some(place) = Place::find(&data.join(kind))? else { continue };
            for name in place.names()? {
                if let Ok(Some(found)) = place.read(&name) {
                    all.push((found, position > 0));
                }
            }
        }
        Ok(all)
    }

    /// Keeps others from changing the records of images that are read, changed and written.
    fn records_lock(&self) -> Result<fs::File> {
        let lock = open_lock(&self.roots.data, "index.lock")?;
        lock.lock().map_err(|e| failed("lock", &self.roots.data.join("index.lock"), e))?;
        Ok(lock)
    }
}

/// A configuration as JSON.
fn parse_config(bytes: &[u8], id: &Digest) -> Result<ImageConfig> {
    document::parse(bytes)
        .context(Kind::Image, || format!("the configuration of image {} is not one", id.short()))
}

/// A reference as it is stored: with a digest, the tag says nothing more.
fn stored_form(reference: &Reference) -> Reference {
    match reference.digest() {
        Some(digest) => reference.with_digest(digest.clone()),
        None => reference.clone(),
    }
}

/// The file name of a reference's record.
fn key(reference: &Reference) -> Digest {
    Digest::sha256_of(stored_form(reference).canonical().as_bytes())
}

#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod tests;
