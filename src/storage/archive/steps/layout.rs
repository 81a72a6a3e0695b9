//! A build cache in a directory: `type=local`.

use super::{Document, FoundCache, LIST_MAX, STEPS, collect, foreign, list_bytes};
use crate::error::{Context, Kind, Result};
use crate::image::{Digest, document};
use crate::storage::Store;
use crate::storage::archive::deposit::Deposit;
use crate::storage::archive::entry::{blob, blob_at_most};
use crate::storage::archive::manifest::{Descriptor, Family, Index, Manifest};
use crate::storage::archive::names::{INDEX, LAYOUT, LAYOUT_TEXT};
use crate::storage::archive::sink::{Sink, place};
use crate::storage::archive::source::Source;
use crate::storage::blobs::Section;
use crate::storage::record::failed_outside;
use serde::Deserialize;
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
/// replaced. It may come from a stranger: below it no link is followed. Starts no threads; inside the user namespace.
///
/// # Errors
/// A layer that is gone, a directory that cannot be written.
pub fn export_cache(store: &Store, keys: &[Digest], dir: &Path) -> Result<()> {
    let document = collect(store, keys)?;
    let config = list_bytes(&document)?;
    let mut sink = Deposit::open(dir)?;
    sink.directory("blobs")?;
    sink.directory("blobs/sha256")?;
    let mut descriptors = Vec::new();
    for layer in &document.layers {
        let name = place(&layer.diff_id.0);
        // What a power cut has left of one is shorter.
        if !sink.has_file(&name, layer.size)? {
            sink.put(&name, |file| {
                let mut out = store.layers().pack(&layer.chain, BufWriter::new(file))?;
                out.flush().map_err(|e| failed_outside("write", &dir.join(&name), e))
            })?;
        }
        descriptors.push(Descriptor::new(Family::Oci.layer(false), layer.diff_id.0.clone(), layer.size));
    }
    let mut write = |name: Option<&str>, mut bytes: &[u8]| -> Result<(Digest, u64)> {
        let (digest, size) = (Digest::sha256_of(bytes), bytes.len() as u64);
        sink.file(name.unwrap_or(&place(&digest)), size, &mut bytes)?;
        Ok((digest, size))
    };
    let mut manifest = Manifest::new(Family::Oci, write(None, &config)?, descriptors);
    STEPS.clone_into(&mut manifest.config.media_type);
    let (digest, size) = write(None, &manifest.bytes()?)?;
    let index = Index::new(vec![Descriptor::new(Family::Oci.manifest(), digest, size)]);
    let index = serde_json::to_vec(&index).context(Kind::Storage, || "write an index")?;
    write(Some(LAYOUT), LAYOUT_TEXT)?;
    write(Some(INDEX), &index).map(drop)
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
    let document: Document =
        document::parse(&blob_at_most(source, &manifest.config, LIST_MAX)?).map_err(malformed)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::build::{StepKind, StepRecord};
    use std::fs::{self, File};

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
        assert_eq!(layout_cache(&source).unwrap().document.steps, document.steps);
    }
}
