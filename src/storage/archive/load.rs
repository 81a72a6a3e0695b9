//! Loads images from an archive or directory into the store.

use super::entry::{blob, blob_path, check, image_entry};
use super::manifest::{Descriptor, Family, Index, Manifest};
use super::names::{CONTAINERD_NAME, INDEX, LAYOUT, MANIFEST, REF_NAME};
use super::source::{Source, bad};
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::image::{self, ChainId, Digest, FileForm, ImageConfig, LAYERS_MAX, Platform, Reference, document};
use crate::storage::Store;
use crate::storage::blobs::{Sealed, Section};
use crate::storage::images::NewImage;
use crate::storage::layers::{LayerJob, StackLayer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most images, and names of images, in one archive.
const IMAGES_MAX: usize = 1000;
/// Most bytes of all their manifests and configurations together, which are held in memory.
const HELD_MAX: usize = 32 << 20;
/// How often an image is begun again when other commands remove what it stands on.
const ATTEMPTS: u32 = 10;

/// An image that came from an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Its id.
    pub id: Digest,
    /// The names it got.
    pub names: Vec<Reference>,
}

/// What is being done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// A layer with this diff id is copied and unpacked.
    Layer(Digest),
    /// A layer with this diff id is here already.
    Present(Digest),
    /// An image with this id is recorded.
    Image(Digest),
}

/// An image of the archive, all its small parts read and checked.
pub(super) struct Candidate {
    /// As it came; docker's archives have none.
    manifest: Option<(Vec<u8>, &'static str)>,
    config: Vec<u8>,
    id: Digest,
    parsed: ImageConfig,
    layers: Vec<Layer>,
    /// The names that it gets.
    pub(super) names: Vec<Reference>,
}

/// Where a layer is, and what was promised of it.
struct Layer {
    member: String,
    blob: Option<Descriptor>,
}

/// Loads every image of an archive. `report` hears what is done, `stop` is asked whether to give up.
/// Starts threads (rule 1: in a leaf), inside the user namespace.
///
/// # Errors
/// [`Kind::Image`] if the archive is malformed or inconsistent; images before that are kept.
pub fn load(
    store: &Store,
    source: &Source,
    report: &dyn Fn(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Loaded>> {
    let candidates = candidates(source)?;
    candidates.iter().map(|candidate| bring(store, source, candidate, report, stop)).collect()
}

/// As [`load`], but the images get no names: those that are returned are what the archive calls them.
///
/// # Errors
/// As there.
pub fn load_unnamed(
    store: &Store,
    source: &Source,
    report: &dyn Fn(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Loaded>> {
    let mut loaded = Vec::new();
    for mut candidate in candidates(source)? {
        let names = std::mem::take(&mut candidate.names);
        let id = bring(store, source, &candidate, report, stop)?.id;
        loaded.push(Loaded { id, names });
    }
    Ok(loaded)
}

/// What an archive or a directory is, by what it has.
///
/// # Errors
/// If it cannot be read.
pub fn form_of(source: &Source) -> Result<FileForm> {
    Ok(match (source.is_directory(), source.read(LAYOUT)?.is_some()) {
        (true, true) => FileForm::OciDir,
        (true, false) => FileForm::Dir,
        (false, true) => FileForm::OciArchive,
        (false, false) => FileForm::DockerArchive,
    })
}

fn candidates(source: &Source) -> Result<Vec<Candidate>> {
    let found = if source.read(LAYOUT)?.is_some() {
        layout(source)?
    } else {
        let Some(list) = source.read(MANIFEST)? else { return Err(no_images(source)) };
        if list.trim_ascii_start().starts_with(b"[") {
            docker_list(source, &list)?
        } else {
            vec![candidate(source, list, Vec::new(), |digest| digest.hex().to_owned())?]
        }
    };
    if found.is_empty() { Err(bad("it holds no images")) } else { Ok(found) }
}

/// Refuses what would fill the memory: an archive may name the same large configuration time and again.
fn check_held(found: &[Candidate]) -> Result<()> {
    let held = |c: &Candidate| c.config.len() + c.manifest.as_ref().map_or(0, |(bytes, _)| bytes.len());
    if found.iter().map(held).sum::<usize>() > HELD_MAX {
        return Err(bad(&format!("its configurations have more than {HELD_MAX} bytes")));
    }
    Ok(())
}

pub(super) fn check_count(images: usize) -> Result<()> {
    if images > IMAGES_MAX {
        return Err(bad(&format!("it lists more than {IMAGES_MAX} images")));
    }
    Ok(())
}

fn no_images(source: &Source) -> Error {
    let (what, hint) = match source.is_directory() {
        false => ("an archive", "To make an image of an archive of plain files: coracle import FILE [NAME]"),
        true => (
            "a directory",
            "To make an image of a directory of plain files: tar -C DIRECTORY -c . | coracle import - NAME",
        ),
    };
    let message = format!("this is not {what} of images: neither index.json nor manifest.json is in it");
    Error::new(Kind::Image, message).hint(hint)
}

/// The images of an OCI layout.
fn layout(source: &Source) -> Result<Vec<Candidate>> {
    let index = source.read(INDEX)?.ok_or_else(|| bad("index.json is missing"))?;
    let mut found: Vec<Candidate> = Vec::new();
    let entries = Index::parse(INDEX, &index)?.manifests;
    check_count(entries.len())?;
    for entry in &entries {
        let names = names_of(&entry.annotations)?;
        let Some(image) = image_entry(source, entry, &Platform::host())? else { continue };
        let bytes = blob(source, &image)?;
        let new = candidate(source, bytes, names, blob_path)?;
        // A layout has one entry for each name.
        match found.iter_mut().find(|other| other.id == new.id && other.manifest == new.manifest) {
            Some(other) => other.names.extend(new.names),
            None => found.push(new),
        }
        check_held(&found)?;
    }
    Ok(found)
}

/// The names that an index entry gives.
pub(super) fn names_of(annotations: &BTreeMap<String, String>) -> Result<Vec<Reference>> {
    if let Some(whole) = annotations.get(CONTAINERD_NAME) {
        return Ok(vec![docker_name(whole)?]);
    }
    let Some(name) = annotations.get(REF_NAME) else { return Ok(Vec::new()) };
    Ok(vec![plain_name(name)?.as_new_name()?])
}

/// A name without a digest.
fn plain_name(text: &str) -> Result<Reference> {
    let name: Reference = text.parse().map_err(|e: Error| Error::new(Kind::Image, e.message()))?;
    if name.digest().is_some() {
        return Err(bad(&format!("it gives the name {name}, which has a digest")));
    }
    Ok(name)
}

/// A name as docker shortens it.
fn docker_name(text: &str) -> Result<Reference> {
    plain_name(text).and_then(|_| image::docker_name(text))
}

/// An image with a manifest of its own; `at` says where a blob is.
pub(super) fn candidate(
    source: &Source,
    bytes: Vec<u8>,
    names: Vec<Reference>,
    at: impl Fn(&Digest) -> String,
) -> Result<Candidate> {
    let manifest = Manifest::parse(MANIFEST, &bytes)?;
    let name = at(&manifest.config.digest);
    let config = source.read(&name)?.ok_or_else(|| bad(&format!("{name} is missing")))?;
    check(&name, &manifest.config.digest, manifest.config.size, &config)?;
    let layers: Vec<Layer> = manifest
        .layers
        .iter()
        .map(|blob| Layer { member: at(&blob.digest), blob: Some(blob.clone()) })
        .collect();
    let media_type = manifest.recorded_type();
    finished(source, Some((bytes, media_type)), config, layers, names)
}

/// One image of docker's list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

pub(super) fn docker_list(source: &Source, list: &[u8]) -> Result<Vec<Candidate>> {
    let listed: Vec<Listed> = document::parse(list).context(Kind::Image, || "read manifest.json")?;
    check_count(listed.len())?;
    let mut found = Vec::new();
    for image in listed {
        let config = source.read(&image.config)?;
        let config = config.ok_or_else(|| bad(&format!("{} is missing", image.config)))?;
        // Where the name is a digest, it promises the content.
        let named = image.config.rsplit('/').next().unwrap_or_default();
        let named = named.strip_suffix(".json").unwrap_or(named);
        if let Ok(digest) = format!("sha256:{named}").parse::<Digest>() {
            check(&image.config, &digest, config.len() as u64, &config)?;
        }
        let names = image.repo_tags.unwrap_or_default();
        let names = names.iter().map(|name| docker_name(name)).collect::<Result<_>>()?;
        let layers = image.layers.unwrap_or_default();
        let layers = layers.into_iter().map(|member| Layer { member, blob: None }).collect();
        found.push(finished(source, None, config, layers, names)?);
        check_held(&found)?;
    }
    Ok(found)
}

/// What holds for every image: as many layers as its configuration promises, and all of them there.
fn finished(
    source: &Source,
    manifest: Option<(Vec<u8>, &'static str)>,
    config: Vec<u8>,
    layers: Vec<Layer>,
    names: Vec<Reference>,
) -> Result<Candidate> {
    let parsed: ImageConfig =
        document::parse(&config).context(Kind::Image, || "read an image's configuration")?;
    let id = Digest::sha256_of(&config);
    if parsed.rootfs.diff_ids.len() != layers.len() {
        return Err(bad(&format!(
            "image {} has {} layers, its configuration promises {}",
            id.short(),
            layers.len(),
            parsed.rootfs.diff_ids.len()
        )));
    }
    // Each gets a file, a copy and a thread.
    if layers.len() > LAYERS_MAX {
        return Err(bad(&format!("image {} has more than {LAYERS_MAX} layers", id.short())));
    }
    for layer in &layers {
        let found =
            source.open(&layer.member)?.ok_or_else(|| bad(&format!("{} is missing", layer.member)))?;
        if layer.blob.as_ref().is_some_and(|blob| blob.size != found.left()) {
            return Err(bad(&format!("{} is not as long as was promised", layer.member)));
        }
    }
    Ok(Candidate { manifest, config, id, parsed, layers, names })
}

/// A position in the stack, on its way.
enum Slot {
    Present(ChainId),
    Job(LayerJob),
}

/// Brings one image into the store; once more where another command has removed what was there already.
pub(super) fn bring(
    store: &Store,
    source: &Source,
    image: &Candidate,
    report: &dyn Fn(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<Loaded> {
    let mut attempt = 0;
    loop {
        match bring_once(store, source, image, report, stop) {
            Err(e) if e.kind() == Kind::NotFound && attempt < ATTEMPTS => attempt += 1,
            other => return other,
        }
    }
}

fn bring_once(
    store: &Store,
    source: &Source,
    image: &Candidate,
    report: &dyn Fn(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<Loaded> {
    let loaded = || Loaded { id: image.id.clone(), names: image.names.clone() };
    // docker's archives have no manifest: the one that is here is as good as one made up.
    if image.manifest.is_none()
        && let Some(here) = store.images().find(image.id.as_str())?
    {
        let lock = store.shared()?;
        for name in &image.names {
            store.images().tag(&lock, &here, name)?;
        }
        return Ok(loaded());
    }
    let give_up = Arc::new(AtomicBool::new(false));
    let mut slots = Vec::new();
    let mut new_blobs = Vec::new();
    let begun = begin(store, source, image, &give_up, (report, stop), &mut slots, &mut new_blobs);
    if begun.is_err() {
        give_up.store(true, Ordering::Relaxed);
    }
    // Each unpacker is waited for, so that none leaves anything behind.
    let mut stack = Ok(Vec::new());
    for slot in slots {
        let layer = match slot {
            Slot::Present(id) => Ok(StackLayer::Present(id)),
            Slot::Job(job) => job.join().map(StackLayer::New),
        };
        stack = match (stack, layer) {
            (Ok(mut all), Ok(layer)) => {
                all.push(layer);
                Ok(all)
            }
            (Err(e), _) | (_, Err(e)) => {
                give_up.store(true, Ordering::Relaxed);
                Err(e)
            }
        };
    }
    let layers = begun?;
    let stack = stack?;
    let digests: Vec<Digest> = new_blobs.iter().map(|blob| blob.digest().clone()).collect();
    for blob in new_blobs {
        blob.publish()?;
        failpoint::reach("load.published");
    }
    let (manifest, media_type) = match &image.manifest {
        Some((manifest, media_type)) => (manifest.clone(), *media_type),
        None => {
            let config = (image.id.clone(), image.config.len() as u64);
            (Manifest::new(Family::Docker, config, layers).bytes()?, Family::Docker.manifest())
        }
    };
    let lock = store.shared()?;
    if let Err(e) = store.layers().commit(&lock, stack) {
        drop(lock);
        forget(store, &e, &digests);
        return Err(e);
    }
    failpoint::reach("load.committed");
    let new = NewImage {
        manifest: &manifest,
        media_type,
        config: &image.config,
        names: &image.names,
        index: None,
        from_registry: false,
    };
    store.images().record(&lock, &new)?;
    report(Progress::Image(image.id.clone()));
    Ok(loaded())
}

/// Drops the blobs of layers that are refused because of their contents, which only the layers below can tell.
pub(super) fn forget(store: &Store, why: &Error, blobs: &[Digest]) {
    if why.kind() != Kind::Image {
        return;
    }
    let gone = store.exclusive().and_then(|lock| store.images().discard_blobs(&lock, blobs));
    if let Err(e) = gone {
        log::info!("leftovers of a refused image are left to `coracle image prune`: {e}");
    }
}

/// Starts unpacking what is not here; returns the descriptors of all layers.
fn begin(
    store: &Store,
    source: &Source,
    image: &Candidate,
    give_up: &Arc<AtomicBool>,
    (report, stop): (&dyn Fn(Progress), &dyn Fn() -> bool),
    slots: &mut Vec<Slot>,
    new_blobs: &mut Vec<Sealed>,
) -> Result<Vec<Descriptor>> {
    let diff_ids = &image.parsed.rootfs.diff_ids;
    let chain = ChainId::chain(diff_ids);
    let mut descriptors = Vec::new();
    for (at, layer) in image.layers.iter().enumerate() {
        let present = store.layers().has(&chain[at]);
        let (descriptor, reader) = match &layer.blob {
            Some(blob) if store.blobs().has(&blob.digest) => (blob.clone(), reader(store, &blob.digest)?),
            _ => {
                let sealed = spooled(store, source, layer, stop)?;
                // Told by its first bytes, as everywhere.
                let gzip = starts_with(&sealed.reader(), &[0x1f, 0x8b]);
                let made =
                    Descriptor::new(Family::Docker.layer(gzip), sealed.digest().clone(), sealed.size());
                let section = sealed.reader();
                new_blobs.push(sealed);
                (layer.blob.clone().unwrap_or(made), section)
            }
        };
        if present {
            report(Progress::Present(diff_ids[at].0.clone()));
            slots.push(Slot::Present(chain[at].clone()));
        } else {
            report(Progress::Layer(diff_ids[at].0.clone()));
            let reader = reader.until(give_up);
            slots.push(Slot::Job(store.layers().begin(&diff_ids[at], &descriptor.media_type, reader)?));
        }
        descriptors.push(descriptor);
    }
    Ok(descriptors)
}

/// A blob that is here.
fn reader(store: &Store, digest: &Digest) -> Result<Section> {
    let lost = || Error::new(Kind::Storage, format!("blob {digest} is gone"));
    let file = store.blobs().open(digest)?.ok_or_else(lost)?;
    let length = file.metadata().context(Kind::Storage, || format!("look at blob {digest}"))?.len();
    Ok(Section::new(Arc::new(file), 0, length))
}

/// Copies a layer's archive into the store and holds it against its promise.
fn spooled(store: &Store, source: &Source, layer: &Layer, stop: &dyn Fn() -> bool) -> Result<Sealed> {
    let section = source.open(&layer.member)?.ok_or_else(|| bad(&format!("{} is missing", layer.member)))?;
    let mut spool = store.blobs().spool()?;
    spool.take(section, stop)?;
    let sealed = spool.seal();
    match &layer.blob {
        Some(blob) if blob.digest != *sealed.digest() || blob.size != sealed.size() => {
            Err(bad(&format!("{} has the digest {}", layer.member, sealed.digest())))
        }
        _ => Ok(sealed),
    }
}

fn starts_with(section: &Section, wanted: &[u8]) -> bool {
    let mut start = vec![0; wanted.len()];
    let mut section = section.clone();
    std::io::Read::read_exact(&mut section, &mut start).is_ok() && start == wanted
}
