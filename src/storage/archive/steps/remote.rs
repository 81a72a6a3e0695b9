//! A build cache in a registry: on its own (`type=registry`), or in the configuration of an image (`type=inline`).

use super::layout::Described;
use super::{Document, FoundCache, LIST_MAX, Layer, STEPS, collect, foreign, list_bytes};
use crate::error::{Context, Kind, Result};
use crate::image::{ChainId, Digest, ImageConfig, document};
use crate::storage::Store;
use crate::storage::archive::manifest::{Descriptor, Family, Manifest};
use crate::storage::archive::outgoing::OutgoingLayer;
use crate::storage::blobs::SMALL_BLOB_MAX;
use crate::storage::build::StepRecord;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// A cache on its way to a registry.
#[derive(Debug)]
pub struct OutgoingCache {
    /// The list of steps.
    pub config: Vec<u8>,
    /// The layers, plain ones that are compressed on the way.
    pub layers: Vec<OutgoingLayer>,
}

impl OutgoingCache {
    /// The results of these steps.
    ///
    /// # Errors
    /// A layer that is gone; a list that would be longer than is read.
    pub fn new(store: &Store, keys: &[Digest]) -> Result<OutgoingCache> {
        let document = collect(store, keys)?;
        let config = list_bytes(&document)?;
        let layer =
            |layer: &Layer| OutgoingLayer::of_chain(store, (&layer.diff_id, &layer.chain), layer.size);
        let layers = document.layers.iter().map(layer).collect();
        Ok(OutgoingCache { config, layers })
    }

    /// The manifest's media type and bytes, now that digest and size in bytes of each layer are known, which are
    /// remembered.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn manifest(&self, store: &Store, layers: &[(Digest, u64)]) -> Result<(&'static str, Vec<u8>)> {
        let mut descriptors = Vec::new();
        for (layer, (digest, size)) in self.layers.iter().zip(layers) {
            layer.remember(store, digest, *size)?;
            descriptors.push(Descriptor::new(layer.media_type(Family::Oci), digest.clone(), *size));
        }
        let config = (Digest::sha256_of(&self.config), self.config.len() as u64);
        let mut manifest = Manifest::new(Family::Oci, config, descriptors);
        STEPS.clone_into(&mut manifest.config.media_type);
        Ok((Family::Oci.manifest(), manifest.bytes()?))
    }
}

/// The results of these steps as a member of an image's configuration. All are of this time, if one is given, so that
/// the same image has the same id.
///
/// # Errors
/// A layer that is gone.
pub fn inline_cache(store: &Store, keys: &[Digest], time: Option<DateTime<Utc>>) -> Result<Value> {
    let Document { version, steps, .. } = collect(store, keys)?;
    let at = |step: StepRecord| {
        let created = time.unwrap_or(step.created);
        StepRecord { created, used: created, ..step }
    };
    let steps = steps.into_iter().map(at).collect();
    serde_json::to_value(Document { version, steps, layers: Vec::new() })
        .context(Kind::Storage, || "write the list of steps")
}

/// The cache that a manifest of a registry stands for; `whole` gives the bytes of a blob that has at most so many. `None`
/// for an image without one.
///
/// # Errors
/// What is neither an image nor a cache; a blob that is not to be had.
pub fn registry_cache(
    manifest: &[u8],
    whole: &mut dyn FnMut(&Descriptor, u64) -> Result<Vec<u8>>,
) -> Result<Option<FoundCache>> {
    let malformed = |e: serde_json::Error| foreign("a document in it is malformed").caused_by(e);
    let described: Described = document::parse(manifest).map_err(malformed)?;
    if described.config.media_type == STEPS {
        let found: Document = document::parse(&whole(&described.config, LIST_MAX)?).map_err(malformed)?;
        return FoundCache::new(found, described.layers).map(Some);
    }
    let Manifest { config, layers: blobs, .. } = Manifest::parse("the image", manifest)?;
    let config: ImageConfig = document::parse(&whole(&config, SMALL_BLOB_MAX)?).map_err(malformed)?;
    let Some(inline) = config.build_cache else { return Ok(None) };
    let mut found: Document = serde_json::from_value(inline).map_err(malformed)?;
    let chain = ChainId::chain(&config.rootfs.diff_ids);
    let mut of_steps = Vec::new();
    found.layers.clear();
    for (at, (diff_id, blob)) in config.rootfs.diff_ids.iter().zip(blobs).enumerate() {
        let (id, parent) = (&chain[at], at.checked_sub(1).map(|below| chain[below].clone()));
        if let Some(step) = found.steps.iter().find(|step| step.chain.as_ref() == Some(id)) {
            let size = step.archive;
            found.layers.push(Layer { chain: id.clone(), parent, diff_id: diff_id.clone(), size });
            of_steps.push(blob);
        }
    }
    FoundCache::new(found, of_steps).map(Some)
}
