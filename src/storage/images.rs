//! Images by name and by id.
//!
//! Theory of operation. `refs/<hash of the canonical reference>` says which image and manifest a name refers
//! to; `images/<id>` says that an image exists, and which manifests it came with. Each is a small file,
//! replaced as a whole. Looking up a cached image by name reads two small files: its reference record and its
//! configuration blob. `oci/index.json` is derived from both kinds of records after each change, for other
//! programs that read the layout; nothing here reads it. Images of which blobs are missing are not in it.

mod check;
mod damage;
mod index;
mod names;
mod prune;
mod pushed;
mod recording;
mod records;
mod remove;

pub use self::check::Damaged;
pub use self::damage::Lost;
pub use self::records::ManifestRef;
pub use self::remove::Removed;

use self::records::{ImageRecord, RefRecord};
use super::blobs::Blobs;
use super::build::BuildCache;
use super::layers::Layers;
use super::lock::open_lock;
use super::place::Place;
use super::record::{failed, warn_once};
use super::roots::Roots;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::image::{ChainId, Digest, Image, ImageConfig, Location, Reference, document};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::sync::Arc;

/// Where the records of names are, below the data root.
const REFS: &str = "refs";
/// Where those of images are.
const IMAGES: &str = "images";

/// The images of a store, our own and those of additional read-only stores.
#[derive(Debug, Clone)]
pub struct Images {
    roots: Arc<Roots>,
    blobs: Blobs,
    layers: Layers,
    build_cache: BuildCache,
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
}

/// An image in a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The image.
    pub image: Image,
    /// Its names, sorted; empty for a dangling image.
    pub names: Vec<Reference>,
    /// `repository@digest` of everything it was pulled as.
    pub digests: Vec<String>,
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
}

impl Listed {
    /// The names that are a tag: one by digest says what the image is, and tags nothing.
    pub fn tags(&self) -> Vec<String> {
        let names = self.names.iter().filter(|name| name.digest().is_none());
        names.map(ToString::to_string).collect()
    }
}

impl Images {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Images {
            blobs: Blobs::new(roots.clone()),
            layers: Layers::new(roots.clone()),
            build_cache: BuildCache::new(roots.clone()),
            roots,
        }
    }

    /// Finds an image by what a user types: a reference, a short name (`localhost/` first, then
    /// docker.io, then any registry), an id or a unique prefix of one; also with `containers-storage:` before it.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the text is neither, [`Kind::Conflict`] when it means several images.
    pub fn find(&self, text: &str) -> Result<Option<Image>> {
        let text = text.strip_prefix("containers-storage:").unwrap_or(text);
        let id = text.strip_prefix("sha256:").unwrap_or(text);
        let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.starts_with("sha256:") {
            if !is_id {
                return Err(Error::new(Kind::Usage, format!("{text:?} is not an image id")));
            }
            return self.by_id(id);
        }
        let reference = match text.parse::<Reference>() {
            // A full id is longer than a tag-less name may look, but is one all the same.
            Err(_) if is_id => return self.by_id(id),
            other => other.map_err(|e| Location::of_no_image(text).unwrap_or(e))?,
        };
        if let Some(image) = self.find_reference(&reference)? {
            return Ok(Some(image));
        }
        if is_id && let Some(image) = self.by_id(id)? {
            return Ok(Some(image));
        }
        let found = patiently(|| self.in_any_registry(&reference))?;
        if found.is_none() { Location::of_no_image(text).map_or(Ok(None), Err) } else { Ok(found) }
    }

    /// As [`Images::find`], for one who cannot do without the image.
    ///
    /// # Errors
    /// As there, and [`Kind::NotFound`].
    pub fn need(&self, text: &str) -> Result<Image> {
        self.find(text)?.ok_or_else(|| phrases::no_image(text).hint("List the images: coracle images"))
    }

    /// Finds an image by name. An unqualified one is looked for under `localhost/`, then docker.io.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn find_reference(&self, reference: &Reference) -> Result<Option<Image>> {
        if reference.registry().is_some() {
            return self.get(reference);
        }
        for registry in ["localhost", "docker.io"] {
            if let Some(image) = self.get(&reference.qualify(registry))? {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    /// The image of exactly this name, which has a registry. At most two small reads when it is by tag.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn get(&self, reference: &Reference) -> Result<Option<Image>> {
        patiently(|| self.get_once(reference))
    }

    fn get_once(&self, reference: &Reference) -> Result<Option<Image>> {
        let name = key(reference);
        for data in self.roots.readable() {
            if let Some(refs) = Place::find(&data.join(REFS))?
                && let Some(found) = refs.read::<RefRecord>(name.hex())?
            {
                return self.load(&found.id, &found.manifest.digest, Some(found.reference)).map(Some);
            }
        }
        match reference.digest() {
            Some(digest) => self.by_digest(&reference.repository(), digest),
            None => Ok(None),
        }
    }

    /// An image pulled under another name or tag that has this manifest or index digest.
    fn by_digest(&self, repository: &str, digest: &Digest) -> Result<Option<Image>> {
        let wanted = format!("{repository}@{digest}");
        let found = self.image_records()?.into_iter().find(|(r, _)| r.digests.contains(&wanted));
        let Some((found, _)) = found else { return Ok(None) };
        let Some(manifest) = found.manifests.first() else { return Ok(None) };
        let name = wanted.parse().ok();
        self.load(&found.id, &manifest.digest, name).map(Some)
    }

    /// An image by a prefix of its id's hex digits.
    fn by_id(&self, prefix: &str) -> Result<Option<Image>> {
        patiently(|| self.by_id_once(prefix))
    }

    fn by_id_once(&self, prefix: &str) -> Result<Option<Image>> {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        let mut places = Vec::new();
        for data in self.roots.readable() {
            let Some(images) = Place::find(&data.join(IMAGES))? else { continue };
            for name in images.names()?.into_iter().filter(|n| n.starts_with(prefix)) {
                found.entry(name).or_insert(places.len());
            }
            places.push(images);
        }
        if found.len() > 1 {
            let ids: Vec<&str> = found.keys().map(|k| k.get(..12).unwrap_or(k)).collect();
            return Err(Error::new(
                Kind::Conflict,
                format!("image id {prefix:?} is ambiguous: {}", ids.join(", ")),
            )
            .hint("Write more digits of the id."));
        }
        let Some((name, place)) = found.into_iter().next() else { return Ok(None) };
        let Some(images) = places.get(place) else { return Ok(None) };
        let Some(found) = images.read::<ImageRecord>(&name)? else { return Ok(None) };
        let Some(manifest) = found.manifests.first() else { return Ok(None) };
        self.load(&found.id, &manifest.digest, None).map(Some)
    }

    /// `name` also means `any.registry/any/path/name`, when only one image is called so.
    fn in_any_registry(&self, reference: &Reference) -> Result<Option<Image>> {
        if reference.registry().is_some() || reference.digest().is_some() {
            return Ok(None);
        }
        let suffix = format!("/{}", reference.path());
        let mut found = self.ref_records()?;
        found.retain(|(r, _)| {
            r.reference.tag_or_latest() == reference.tag_or_latest()
                && r.reference.repository().ends_with(&suffix)
        });
        let ids: HashSet<&Digest> = found.iter().map(|(r, _)| &r.id).collect();
        if ids.len() > 1 {
            let names: Vec<String> = found.iter().map(|(r, _)| r.reference.to_string()).collect();
            return Err(Error::new(
                Kind::Conflict,
                format!("{reference} is ambiguous: {}", names.join(", ")),
            )
            .hint("Write the name with its registry."));
        }
        match found.first() {
            Some((r, _)) => self.load(&r.id, &r.manifest.digest, Some(r.reference.clone())).map(Some),
            None => Ok(None),
        }
    }

    fn load(&self, id: &Digest, manifest: &Digest, reference: Option<Reference>) -> Result<Image> {
        let lost = || {
            Error::new(Kind::Storage, format!("the configuration of image {} is missing", id.short()))
                .hint("Fetch the image again: coracle pull IMAGE")
        };
        let bytes = self.blobs.read(id)?.ok_or_else(lost)?;
        let config = parse_config(&bytes, id)?;
        let layers = ChainId::chain(&config.rootfs.diff_ids);
        Ok(Image { id: id.clone(), manifest: manifest.clone(), reference, layers, config })
    }

    /// All images, newest first.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut names: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
        for (found, _) in self.ref_records()? {
            names.entry(found.id).or_default().push(found.reference);
        }
        let mut sizes: BTreeMap<ChainId, u64> = BTreeMap::new();
        let mut all = Vec::new();
        for (found, read_only) in self.image_records()? {
            let Some(manifest) = found.manifests.first() else { continue };
            let mut names = names.remove(&found.id).unwrap_or_default();
            names.sort();
            let Ok(image) = self.load(&found.id, &manifest.digest, names.first().cloned()) else {
                // `system check` says what is wrong with it.
                let id = found.id.short();
                warn_once(id, &format!("image {id} is damaged and left out; see: coracle system check"));
                continue;
            };
            let created = image.config.created.as_deref().and_then(|c| DateTime::parse_from_rfc3339(c).ok());
            let created = created.map_or(found.added, |c| c.with_timezone(&Utc));
            let mut size = 0;
            for layer in &image.layers {
                size += match sizes.get(layer) {
                    Some(size) => *size,
                    None => {
                        // A layer that is missing takes no room; `run` will say that it is missing.
                        let bytes = self.layers.record(layer).map_or(0, |r| r.size);
                        sizes.insert(layer.clone(), bytes);
                        bytes
                    }
                };
            }
            all.push(Listed {
                image,
                digests: found.digests,
                history: in_use_first(found.history, &names),
                names,
                created,
                size,
                shared: 0,
                read_only,
            });
        }
        share(&mut all, &sizes);
        all.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.image.id.cmp(&b.image.id)));
        Ok(all)
    }

    /// Whether the image lies in our own store, and not only in an additional one.
    pub fn is_own(&self, id: &Digest) -> bool {
        self.own(IMAGES).is_ok_and(|images| images.has_file(id.hex()))
    }

    /// One of the two directories of records of our own store.
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

/// Looks for an image anew if that fails: it may have been removed, and even brought back, since its record was read.
fn patiently(look: impl Fn() -> Result<Option<Image>>) -> Result<Option<Image>> {
    const ATTEMPTS: usize = 4;
    (1..ATTEMPTS).find_map(|_| look().ok()).map_or_else(look, Ok)
}

/// Names that an image has had, those that it has now before the others.
fn in_use_first(history: Vec<String>, names: &[Reference]) -> Vec<String> {
    let now: HashSet<String> = names.iter().map(Reference::to_string).collect();
    let (mut names, former): (Vec<String>, Vec<String>) =
        history.into_iter().partition(|name| now.contains(name));
    names.extend(former);
    names
}

/// Fills in how much each image shares with others.
fn share(all: &mut [Listed], sizes: &BTreeMap<ChainId, u64>) {
    let mut users: BTreeMap<ChainId, usize> = BTreeMap::new();
    for layer in all.iter().flat_map(|listed| &listed.image.layers) {
        *users.entry(layer.clone()).or_default() += 1;
    }
    for listed in all {
        let shared = listed.image.layers.iter().filter(|layer| users.get(layer).is_some_and(|n| *n > 1));
        listed.shared = shared.filter_map(|layer| sizes.get(layer)).sum();
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
mod tests;
