//! The build cache outside of the store: `--cache-to` and `--cache-from`.
//!
//! Theory of operation. A cache is a manifest whose configuration lists steps, and which layer lies on which; its layers
//! are the archives of those that steps have made. It is in a directory, as an OCI image layout with plain archives, or
//! in a registry, compressed. An inline cache is a member of an image's own configuration, and its layers are the
//! image's. Keys of steps depend on contents alone, so they mean the same on another machine. Whoever takes a step of a
//! cache takes its word for what the step comes to, as with an image; so only a step that is asked for by its key is
//! taken. That layers are what they are called is verified.

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

/// Longest list of steps, in bytes: a leaf hands it to its parent.
const LIST_MAX: u64 = 32 << 20;

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
#[derive(Debug, Serialize, Deserialize)]
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

    /// What the step with this key has come to on this layer.
    pub fn step(&self, key: &Digest, below: Option<&ChainId>) -> Option<&StepRecord> {
        let is_it =
            |step: &&StepRecord| step.version == 1 && step.key == *key && step.parent.as_ref() == below;
        self.document.steps.iter().find(is_it)
    }
}

/// The bytes of a list of steps, if they are not more than are read.
fn list_bytes(document: &Document) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec(document).context(Kind::Storage, || "write the list of steps")?;
    if bytes.len() as u64 > LIST_MAX {
        let why = format!("the list of steps has {} bytes, and at most {LIST_MAX} are read", bytes.len());
        return Err(Error::new(Kind::Storage, why));
    }
    Ok(bytes)
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

/// Unpacks a layer of a cache on top of those that are here; `open` gives the bytes of a blob, `needs` hears of the layers
/// before anything names them. Starts threads (rule 1: in a leaf), inside the user namespace.
///
/// # Errors
/// A layer that is not to be had, or is not what it is called; a full disk.
pub fn import_layer(
    store: &Store,
    found: &FoundCache,
    chain: &ChainId,
    open: &dyn Fn(&Descriptor) -> Result<Section>,
    needs: Needs<'_>,
) -> Result<()> {
    let mut layers = found.document.layers.iter().zip(&found.blobs);
    let (layer, blob) =
        layers.find(|(layer, _)| layer.chain == *chain).ok_or_else(|| foreign("a layer is missing"))?;
    take(store, layer, blob, open(blob)?, needs)
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
