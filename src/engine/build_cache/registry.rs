//! The build cache in registries.

use crate::engine::images::push::blobs::{LayerBlob, Sending, Small};
use crate::error::{Context, Kind, Result};
use crate::image::{ChainId, Digest};
use crate::registry::{Blob, Event, Prepared, PushEvent, Pusher, Reader};
use crate::storage::archive::{Descriptor, FoundCache, OutgoingCache, import_layer, registry_cache};
use crate::storage::blobs::Section;
use crate::storage::{SharedLock, Store};
use std::io::Write;

/// Sends the results of these steps to the name. Starts threads (rule 1: in a leaf), inside the user namespace.
///
/// # Errors
/// A layer that is gone, a registry that refuses.
pub fn send(store: &Store, prepared: &Prepared, keys: &[Digest]) -> Result<()> {
    let cache = OutgoingCache::new(store, keys)?;
    let report = |event| {
        if let PushEvent::Session(event) = event {
            tell(event);
        }
    };
    let pusher = Pusher::open(prepared, &report, &|| false)?;
    let name = pusher.reference().clone();
    let sending = Sending::new(store, name.registry().unwrap_or_default(), name.path());
    let blobs: Vec<LayerBlob<'_>> =
        cache.layers.iter().map(|layer| LayerBlob { sending: &sending, layer }).collect();
    let blobs: Vec<&dyn Blob> = blobs.iter().map(|blob| blob as &dyn Blob).collect();
    let layers = pusher.blobs(0, &blobs)?;
    pusher.blobs(blobs.len(), &[&Small(&cache.config)])?;
    let (media_type, manifest) = cache.manifest(store, &layers)?;
    pusher.manifest(media_type, &manifest, true).map(drop)
}

/// The cache that the name stands for: one of the build's own, or that of an image; `None` for an image without one.
/// Starts threads (rule 1: in a leaf).
///
/// # Errors
/// What is not to be had, or no cache.
pub fn look(prepared: &Prepared) -> Result<Option<FoundCache>> {
    let (reader, manifest) = Reader::open(prepared, &tell, &|| false)?;
    let found = registry_cache(&manifest, &mut |blob, most| reader.whole(&blob.digest, blob.size, most))?;
    if found.is_none() {
        log::info!("the image has no cache in it");
    }
    Ok(found)
}

/// Takes a layer of a cache that was found under the name. `needs` hears of layers before anything names them. Starts
/// threads (rule 1: in a leaf), inside the user namespace.
///
/// # Errors
/// What is not to be had, or not what it is called; a full disk.
pub fn take(
    store: &Store,
    prepared: &Prepared,
    found: &FoundCache,
    layer: &ChainId,
    needs: &dyn Fn(&SharedLock, &[ChainId]) -> Result<()>,
) -> Result<()> {
    let (reader, _) = Reader::open(prepared, &tell, &|| false)?;
    let open = |blob: &Descriptor| {
        let mut spool = store.blobs().spool()?.nameless()?;
        let mut keep = |bytes: &[u8]| spool.write_all(bytes).context(Kind::Storage, || "keep a layer");
        reader.blob(&blob.digest, blob.size, &mut keep)?;
        Ok(Section::new(spool.file(), 0, blob.size))
    };
    import_layer(store, found, layer, &open, needs)
}

fn tell(event: Event) {
    match event {
        Event::Warning(text) => log::warn!("{text}"),
        Event::Waiting { why, seconds } => log::info!("{why}; trying again in {seconds} s"),
        _ => {}
    }
}
