//! A build cache in a directory: `type=local`.

use super::{Document, FoundCache, STEPS, collect, foreign};
use crate::error::{Context, Kind, Result};
use crate::image::{Digest, document};
use crate::storage::Store;
use crate::storage::archive::load::blob;
use crate::storage::archive::manifest::{Descriptor, Family, Index, Manifest};
use crate::storage::archive::names::{INDEX, LAYOUT, LAYOUT_TEXT};
use crate::storage::archive::output::to_file;
use crate::storage::archive::save::place;
use crate::storage::archive::source::Source;
use crate::storage::blobs::Section;
use crate::storage::record::{Durability, failed, replace_bytes};
use serde::Deserialize;
use std::fs::{self, Metadata};
use std::io::{BufWriter, Write};
use std::path::Path;

/// The part of a manifest that is read.
#[derive(Debug, Deserialize)]
pub(super) struct Described {
    pub(super) config: Descriptor,
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
}

/// Writes the results of these steps into a directory, which is made; what others have written there before is
/// replaced. Starts no threads; inside the user namespace.
///
/// # Errors
/// A layer that is gone, a directory that cannot be written.
pub fn export_cache(store: &Store, keys: &[Digest], dir: &Path) -> Result<()> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(|e| failed("create", &blobs, e))?;
    let document = collect(store, keys)?;
    let mut descriptors = Vec::new();
    for layer in &document.layers {
        let path = dir.join(place(&layer.diff_id.0));
        // What a power cut has left of one is shorter.
        let whole = |found: Metadata| found.is_file() && found.len() == layer.size;
        if !fs::symlink_metadata(&path).is_ok_and(whole) {
            to_file(&path, |file| {
                let mut out = store.layers().pack(&layer.chain, BufWriter::new(file))?;
                out.flush().map_err(|e| failed("write", &path, e))
            })?;
        }
        descriptors.push(Descriptor::new(Family::Oci.layer(false), layer.diff_id.0.clone(), layer.size));
    }
    let write = |bytes: &[u8]| -> Result<(Digest, u64)> {
        let digest = Digest::sha256_of(bytes);
        replace_bytes(&dir.join(place(&digest)), bytes, Durability::Volatile)?;
        Ok((digest, bytes.len() as u64))
    };
    let config = serde_json::to_vec(&document).context(Kind::Storage, || "write the list of steps")?;
    let mut manifest = Manifest::new(Family::Oci, write(&config)?, descriptors);
    STEPS.clone_into(&mut manifest.config.media_type);
    let (digest, size) = write(&manifest.bytes()?)?;
    let index = Index::new(vec![Descriptor::new(Family::Oci.manifest(), digest, size)]);
    let index = serde_json::to_vec(&index).context(Kind::Storage, || "write an index")?;
    replace_bytes(&dir.join(LAYOUT), LAYOUT_TEXT, Durability::Volatile)?;
    replace_bytes(&dir.join(INDEX), &index, Durability::Volatile)
}

/// The cache in a directory.
///
/// # Errors
/// What is no cache.
pub fn layout_cache(source: &Source) -> Result<FoundCache> {
    let bytes = source.read(INDEX)?.ok_or_else(|| foreign("index.json is missing"))?;
    let index = Index::parse(INDEX, &bytes)?;
    let entry = index.manifests.first().ok_or_else(|| foreign("its index is empty"))?;
    let malformed = |e: serde_json::Error| foreign("a document in it is malformed").caused_by(e);
    let manifest: Described = document::parse(&blob(source, entry)?).map_err(malformed)?;
    if manifest.config.media_type != STEPS {
        return Err(foreign("another builder has written it"));
    }
    let document: Document = document::parse(&blob(source, &manifest.config)?).map_err(malformed)?;
    FoundCache::new(document, manifest.layers)
}

impl Source {
    /// The bytes of a blob of a cache.
    ///
    /// # Errors
    /// When it is missing.
    pub fn cached(&self, blob: &Descriptor) -> Result<Section> {
        self.open(&place(&blob.digest))?.ok_or_else(|| foreign("a layer is missing"))
    }
}
