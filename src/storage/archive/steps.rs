//! The build cache outside of the store: `--cache-to` and `--cache-from`.
//!
//! Theory of operation. A cache is a manifest whose configuration lists steps, and which layer lies on which; its layers
//! are the archives of those that steps have made. It is in a directory, as an OCI image layout with plain archives, or
//! in a registry, compressed. An inline cache is a member of an image's own configuration, and its layers are the
//! image's. Keys of steps depend on contents alone, so they mean the same on another machine. Whoever reads a cache takes
//! its word for what the steps come to, as with an image; that layers are what they are called is verified.

mod layout;
mod remote;

pub use layout::{export_cache, layout_cache};
pub use remote::{OutgoingCache, inline_cache, registry_cache};

use super::manifest::Descriptor;
use crate::error::{Context, Error, Kind, Result};
use crate::image::media::{self, Compression};
use crate::image::{ChainId, DiffId, Digest, LAYERS_MAX};
use crate::storage::blobs::Section;
use crate::storage::build::StepRecord;
use crate::storage::layers::{LayerRecord, StackLayer};
use crate::storage::unpack::{Limits, decode};
use crate::storage::{SharedLock, Store};
use serde::{Deserialize, Serialize};

/// The media type of the list of steps.
const STEPS: &str = "application/vnd.coracle.build-cache.v1+json";

/// Longest list of steps, in bytes.
const LIST_MAX: u64 = 256 << 20;

/// What the configuration says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Document {
    version: u32,
    steps: Vec<StepRecord>,
    #[serde(default)]
    layers: Vec<Layer>,
}

/// A layer that a step has made.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Layer {
    chain: ChainId,
    parent: Option<ChainId>,
    diff_id: DiffId,
    /// Bytes of its uncompressed archive.
    size: u64,
}

/// A cache that was found: its steps, and the blobs of its layers.
#[derive(Debug)]
pub struct FoundCache {
    document: Document,
    /// In the order of the document's layers.
    blobs: Vec<Descriptor>,
}

impl FoundCache {
    fn new(document: Document, blobs: Vec<Descriptor>) -> Result<FoundCache> {
        if document.version != 1 {
            return Err(foreign("a newer version has written it"));
        }
        if document.layers.len() != blobs.len() {
            return Err(foreign("it has another number of layers than it lists"));
        }
        Ok(FoundCache { document, blobs })
    }
}

/// The results of these steps that can be given away, and their layers.
///
/// # Errors
/// A layer that is gone.
fn collect(store: &Store, keys: &[Digest]) -> Result<Document> {
    let mut document = Document { version: 1, ..Document::default() };
    for key in keys {
        let Some(step) = store.build_cache().get(&store.shared()?, key) else { continue };
        if document.steps.iter().any(|known| known.key == step.key) {
            continue;
        }
        if let Some(chain) = &step.chain
            && !document.layers.iter().any(|layer| layer.chain == *chain)
        {
            // What was pulled has its archive elsewhere.
            let LayerRecord { parent, diff_id, archive, .. } = store.layers().record(chain)?;
            let Some(size) = archive else { continue };
            document.layers.push(Layer { chain: chain.clone(), parent, diff_id, size });
        }
        document.steps.push(step);
    }
    Ok(document)
}

/// Hears of layers that are needed.
type Needs<'a> = &'a dyn Fn(&SharedLock, &[ChainId]) -> Result<()>;

/// Takes the results of steps from a cache that are not here and stand on layers that are; `open` gives the bytes of a
/// blob, `needs` hears of the layers before anything names them. Starts threads (rule 1: in a leaf), inside the user
/// namespace.
///
/// # Errors
/// A layer that is not to be had, or is not what it is called; a full disk.
pub fn import_cache(
    store: &Store,
    found: &FoundCache,
    open: &dyn Fn(&Descriptor) -> Result<Section>,
    needs: Needs<'_>,
) -> Result<()> {
    let document = &found.document;
    let cache = store.build_cache();
    let lock = store.shared()?;
    let steps: Vec<&StepRecord> =
        document.steps.iter().filter(|step| cache.get(&lock, &step.key).is_none()).collect();
    drop(lock);
    let wanted = |layer: &Layer| steps.iter().any(|step| step.chain.as_ref() == Some(&layer.chain));
    let missing = |layer: &Layer| wanted(layer) && !store.layers().has(&layer.chain);
    let mut left: Vec<(&Layer, &Descriptor)> =
        document.layers.iter().zip(&found.blobs).filter(|(layer, _)| missing(layer)).collect();
    // Each lies on others, which may be among them.
    loop {
        let stands = |(layer, _): &(&Layer, _)| layer.parent.as_ref().is_none_or(|p| store.layers().has(p));
        let Some(at) = left.iter().position(stands) else { break };
        let (layer, blob) = left.remove(at);
        take(store, layer, blob, open(blob)?, needs)?;
    }
    let lock = store.shared()?;
    for step in steps {
        let is_here = |chain: &Option<ChainId>| chain.as_ref().is_none_or(|chain| store.layers().has(chain));
        if !is_here(&step.chain) || !is_here(&step.parent) {
            continue;
        }
        // One that cannot be packed again cannot be a build's.
        if let Some(chain) = &step.chain
            && store.layers().adopted(chain)?.is_none()
        {
            continue;
        }
        cache.put(&lock, step)?;
    }
    Ok(())
}

/// Unpacks a layer on top of those that are here.
fn take(store: &Store, layer: &Layer, blob: &Descriptor, archive: Section, needs: Needs<'_>) -> Result<()> {
    if ChainId::above(layer.parent.as_ref(), &layer.diff_id) != layer.chain {
        return Err(foreign("a layer is not what it is called"));
    }
    let below = match &layer.parent {
        Some(parent) => store.layers().stack(parent)?,
        None => Vec::new(),
    };
    if below.len() > LAYERS_MAX {
        return Err(foreign("a layer of it lies on too many others"));
    }
    let mut stack: Vec<StackLayer> = below.into_iter().map(StackLayer::Present).collect();
    if archive.left() != blob.size || uncompressed(blob, archive.clone())? != layer.size {
        return Err(foreign("a layer has another size than it is said to have"));
    }
    let job = store.layers().begin(&layer.diff_id, &blob.media_type, archive)?;
    stack.push(StackLayer::New(job.join()?));
    let lock = store.shared()?;
    let chain = store.layers().commit(&lock, stack)?;
    needs(&lock, &chain)?;
    drop(lock);
    // Others may pack the same files as other bytes, and an image that has their layer is not damaged by that.
    if !store.layers().is_true(&layer.chain)? {
        log::info!("layer {} is not one that this tool packs; its step is not used", layer.chain.0.short());
        return Ok(());
    }
    store.layers().note_archive(&layer.chain, layer.size)
}

/// How many bytes an archive has without its compression.
fn uncompressed(blob: &Descriptor, archive: Section) -> Result<u64> {
    let packed = archive.left();
    if media::compression(&blob.media_type) == Some(Compression::None) {
        return Ok(packed);
    }
    let broken = || format!("unpack layer {}", blob.digest.short());
    let mut reader = decode::open(archive).context(Kind::Image, broken)?.1;
    let (mut buffer, mut total) = (vec![0; 256 << 10], 0);
    loop {
        match decode::fill(&mut reader, &mut buffer).context(Kind::Image, broken)? {
            0 => return Ok(total),
            count => total += count as u64,
        }
        Limits::default().check_bytes(total, packed)?;
    }
}

fn foreign(why: &str) -> Error {
    Error::new(Kind::Image, format!("it is no build cache of this tool: {why}"))
        .hint("Write one: coracle build --cache-to type=local,dest=DIR .")
}
