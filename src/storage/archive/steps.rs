//! The build cache outside of the store: `--cache-to` and `--cache-from` with `type=local`.
//!
//! Theory of operation. The directory is an OCI image layout with one manifest. Its layers are the archives of those
//! that steps have made, plain; its configuration lists the steps, and which layer lies on which. Keys of steps depend
//! on contents alone, so they mean the same on another machine. Whoever reads such a directory takes its word for what
//! the steps come to, as with an image; that layers are what they are called is verified.

use super::load::{blob, blob_at_most};
use super::manifest::{Descriptor, Family, Index, Manifest};
use super::names::{INDEX, LAYOUT, LAYOUT_TEXT};
use super::output::to_file;
use super::save::place;
use super::source::Source;
use crate::error::{Context, Error, Kind, Result};
use crate::image::{ChainId, DiffId, Digest, LAYERS_MAX, document};
use crate::storage::build::StepRecord;
use crate::storage::layers::{LayerRecord, StackLayer};
use crate::storage::record::{Durability, failed_outside, replace_bytes};
use crate::storage::{SharedLock, Store};
use serde::{Deserialize, Serialize};
use std::fs::{self, Metadata};
use std::io::{BufWriter, Write};
use std::path::Path;

/// The media type of the list of steps.
const STEPS: &str = "application/vnd.coracle.build-cache.v1+json";

/// Longest list of steps, in bytes.
const LIST_MAX: u64 = 256 << 20;

/// What the configuration says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Document {
    version: u32,
    steps: Vec<StepRecord>,
    layers: Vec<Layer>,
}

/// The part of the manifest that is read.
#[derive(Debug, Deserialize)]
struct Described {
    config: Descriptor,
}

/// A layer that a step has made.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Layer {
    chain: ChainId,
    parent: Option<ChainId>,
    diff_id: DiffId,
    size: u64,
}

/// Writes the results of these steps into a directory, which is made; what others have written there before is
/// replaced. Starts no threads; inside the user namespace.
///
/// # Errors
/// A layer that is gone, a directory that cannot be written.
pub fn export_cache(store: &Store, keys: &[Digest], dir: &Path) -> Result<()> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(|e| failed_outside("create", &blobs, e))?;
    let mut document = Document { version: 1, ..Document::default() };
    let mut descriptors = Vec::new();
    for key in keys {
        let Some(step) = store.build_cache().get(&store.shared()?, key) else { continue };
        if let Some(chain) = &step.chain
            && !document.layers.iter().any(|layer| layer.chain == *chain)
        {
            // What was pulled has its archive elsewhere.
            let LayerRecord { parent, diff_id, archive, .. } = store.layers().record(chain)?;
            let Some(size) = archive else { continue };
            let path = dir.join(place(&diff_id.0));
            // What a power cut has left of one is shorter.
            let whole = |found: Metadata| found.is_file() && found.len() == size;
            if !fs::symlink_metadata(&path).is_ok_and(whole) {
                to_file(&path, |file| {
                    let mut out = store.layers().pack(chain, BufWriter::new(file))?;
                    out.flush().map_err(|e| failed_outside("write", &path, e))
                })?;
            }
            descriptors.push(Descriptor::new(Family::Oci.layer(false), diff_id.0.clone(), size));
            document.layers.push(Layer { chain: chain.clone(), parent, diff_id, size });
        }
        document.steps.push(step);
    }
    let write = |bytes: &[u8]| -> Result<(Digest, u64)> {
        let digest = Digest::sha256_of(bytes);
        replace_bytes(&dir.join(place(&digest)), bytes, Durability::Volatile)?;
        Ok((digest, bytes.len() as u64))
    };
    let config = serde_json::to_vec(&document).context(Kind::Storage, || "write the list of steps")?;
    if config.len() as u64 > LIST_MAX {
        let why = format!("the list of steps has {} bytes, and at most {LIST_MAX} are read", config.len());
        return Err(Error::new(Kind::Storage, why));
    }
    let mut manifest = Manifest::new(Family::Oci, write(&config)?, descriptors);
    STEPS.clone_into(&mut manifest.config.media_type);
    let (digest, size) = write(&manifest.bytes()?)?;
    let index = Index::new(vec![Descriptor::new(Family::Oci.manifest(), digest, size)]);
    let index = serde_json::to_vec(&index).context(Kind::Storage, || "write an index")?;
    replace_bytes(&dir.join(LAYOUT), LAYOUT_TEXT, Durability::Volatile)?;
    replace_bytes(&dir.join(INDEX), &index, Durability::Volatile)
}

/// Hears of layers that are needed.
type Needs<'a> = &'a dyn Fn(&SharedLock, &[ChainId]) -> Result<()>;

/// Takes the results of steps from a directory that are not here and stand on layers that are; `needs` hears of the
/// layers before anything names them. Starts threads (rule 1: in a leaf), inside the user namespace.
///
/// # Errors
/// What is no cache; a layer that is not what it is called; a full disk.
pub fn import_cache(store: &Store, source: &Source, needs: Needs<'_>) -> Result<()> {
    let document = read(source)?;
    let cache = store.build_cache();
    let lock = store.shared()?;
    let steps: Vec<&StepRecord> =
        document.steps.iter().filter(|step| cache.get(&lock, &step.key).is_none()).collect();
    drop(lock);
    let wanted = |layer: &Layer| steps.iter().any(|step| step.chain.as_ref() == Some(&layer.chain));
    let mut left: Vec<&Layer> =
        document.layers.iter().filter(|layer| wanted(layer) && !store.layers().has(&layer.chain)).collect();
    // Each lies on others, which may be among them.
    loop {
        let stands = |layer: &&Layer| layer.parent.as_ref().is_none_or(|parent| store.layers().has(parent));
        let Some(at) = left.iter().position(stands) else { break };
        let layer = left.remove(at);
        take(store, source, layer, needs)?;
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
fn take(store: &Store, source: &Source, layer: &Layer, needs: Needs<'_>) -> Result<()> {
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
    let archive = source.open(&place(&layer.diff_id.0))?.ok_or_else(|| foreign("a layer is missing"))?;
    if archive.left() != layer.size {
        return Err(foreign("a layer has another size than it is said to have"));
    }
    let job = store.layers().begin(&layer.diff_id, &Family::Oci.layer(false), archive)?;
    stack.push(StackLayer::New(job.join()?));
    let lock = store.shared()?;
    let chain = store.layers().commit(&lock, stack)?;
    needs(&lock, &chain)?;
    store.layers().note_archive(&layer.chain, layer.size)
}

fn read(source: &Source) -> Result<Document> {
    let bytes = source.read(INDEX)?.ok_or_else(|| foreign("index.json is missing"))?;
    let index = Index::parse(INDEX, &bytes)?;
    let entry = index.manifests.first().ok_or_else(|| foreign("its index is empty"))?;
    let malformed = |e: serde_json::Error| foreign("a document in it is malformed").caused_by(e);
    let manifest: Described = document::parse(&blob(source, entry)?).map_err(malformed)?;
    if manifest.config.media_type != STEPS {
        return Err(foreign("another builder has written it"));
    }
    let document: Document =
        document::parse(&blob_at_most(source, &manifest.config, LIST_MAX)?).map_err(malformed)?;
    if document.version == 1 { Ok(document) } else { Err(foreign("a newer version has written it")) }
}

fn foreign(why: &str) -> Error {
    Error::new(Kind::Image, format!("the directory is no build cache of this tool: {why}"))
        .hint("Write one: coracle build --cache-to type=local,dest=DIR .")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::build::StepKind;
    use std::fs::File;

    /// Steps say what they were, which may be long, and there may be many.
    #[test]
    fn a_list_is_read_that_is_larger_than_a_manifest_may_be() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        let write = |bytes: &[u8]| {
            let digest = Digest::sha256_of(bytes);
            fs::write(dir.path().join(place(&digest)), bytes).unwrap();
            (digest, bytes.len() as u64)
        };
        let step = StepRecord::new(Digest::sha256_of(b"x"), StepKind::Regular, "x".repeat(5 << 20));
        let document = Document { version: 1, steps: vec![step], layers: Vec::new() };
        let config = write(&serde_json::to_vec(&document).unwrap());
        let mut manifest = Manifest::new(Family::Oci, config, Vec::new());
        STEPS.clone_into(&mut manifest.config.media_type);
        let (digest, size) = write(&manifest.bytes().unwrap());
        let index = Index::new(vec![Descriptor::new(Family::Oci.manifest(), digest, size)]);
        fs::write(dir.path().join(INDEX), serde_json::to_vec(&index).unwrap()).unwrap();
        let source = Source::build_cache(File::open(dir.path()).unwrap().into());
        assert_eq!(read(&source).unwrap().steps, document.steps);
    }
}
