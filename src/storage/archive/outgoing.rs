//! An image on its way to a registry: which of its blobs go as they are, and which are compressed first.
//!
//! Theory of operation. A layer that is compressed goes byte for byte, and so does a manifest of which nothing changes:
//! the digest of a pulled image stays. Plain layers, as builds make them, are compressed on the way, as podman does it.
//! Their digests are known from an earlier time, or else once they were sent; the manifest is written then.

use super::documents::{config_of, manifest_of};
use super::layer::{LayerArchive, is_packed};
use super::manifest::{Descriptor, Family, Manifest};
use crate::error::{Context, Error, Kind, Result};
use crate::image::media::{self, Compression};
use crate::image::{ChainId, DiffId, Digest, Image};
use crate::storage::Store;
use crate::storage::blobs::Hasher;
use crate::storage::compress::{CompressedArchive, Pool, Recipe};
use crate::storage::layers::Compressed;
use crate::storage::unpack::decode;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// What an image is to be in the registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutgoingForm {
    /// Whose media types it has, if not those that it has here.
    pub family: Option<Family>,
    /// How plain layers are compressed, if not in the usual way.
    pub recipe: Option<Recipe>,
    /// Whether layers that are compressed otherwise are compressed anew.
    pub recompress: bool,
}

/// An image that is about to leave.
#[derive(Debug)]
pub struct Outgoing {
    image: Image,
    manifest: Manifest,
    /// The manifest's bytes, if it may stay as it is.
    bytes: Option<Vec<u8>>,
    family: Family,
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// Its layers, each once.
    pub layers: Vec<OutgoingLayer>,
    /// Which of them is at each place, bottom first.
    places: Vec<usize>,
}

/// A layer of it.
#[derive(Debug, Clone)]
pub struct OutgoingLayer {
    /// What the manifest says of it.
    blob: Descriptor,
    /// The digest of its uncompressed archive.
    pub diff_id: DiffId,
    chain: ChainId,
    /// How it is compressed, if it does not go as it is.
    recipe: Option<Recipe>,
    /// Digest and size in bytes, if they are known.
    pub known: Option<(Digest, u64)>,
}

/// The bytes of a layer.
pub enum LayerBytes {
    /// A blob of the store.
    Stored(File),
    /// What is being compressed.
    Compressed(Arc<CompressedArchive>),
}

impl Outgoing {
    /// Looks at an image.
    ///
    /// # Errors
    /// Documents that are missing; a form that the image cannot have.
    pub fn new(store: &Store, image: &Image, form: OutgoingForm) -> Result<Outgoing> {
        let (original, bytes) = manifest_of(store, image)?;
        let config = config_of(store, image)?;
        let zstd = form.recipe.is_some_and(|recipe| recipe.compression() == Compression::Zstd);
        if zstd && form.family == Some(Family::Docker) {
            return Err(Error::new(
                Kind::Usage,
                "docker's format has no layers that are compressed with zstd",
            )
            .hint("Leave out --format v2s2, or use --compression-format gzip."));
        }
        let own = original.family().unwrap_or(Family::Oci);
        let mut outgoing = Outgoing {
            image: image.clone(),
            manifest: Manifest::new(own, (image.id.clone(), config.len() as u64), Vec::new()),
            bytes: Some(bytes),
            family: own,
            config,
            layers: Vec::new(),
            places: Vec::new(),
        };
        let mut seen: HashMap<&Digest, usize> = HashMap::new();
        let ids = image.config.rootfs.diff_ids.iter().zip(&image.layers);
        if ids.len() != original.layers.len() {
            let what =
                format!("image {} has another number of layers than its configuration", image.id.short());
            return Err(Error::new(Kind::Image, what));
        }
        for (blob, (diff_id, chain)) in original.layers.iter().zip(ids) {
            let at = *seen.entry(&blob.digest).or_insert_with(|| {
                let layer = OutgoingLayer::new(store, blob, (diff_id, chain), form);
                outgoing.layers.push(layer);
                outgoing.layers.len() - 1
            });
            outgoing.places.push(at);
        }
        let becomes_zstd = zstd && outgoing.layers.iter().any(|layer| layer.recipe.is_some());
        outgoing.family = form.family.unwrap_or(if becomes_zstd { Family::Oci } else { own });
        if outgoing.family != own || outgoing.layers.iter().any(|layer| layer.recipe.is_some()) {
            outgoing.bytes = None;
        }
        // Whether the others can be what is asked for is known before anything is sent.
        let mut kept = original.clone();
        let mut places = outgoing.places.iter();
        kept.layers.retain(|_| {
            places.next().and_then(|at| outgoing.layers.get(*at)).is_none_or(|layer| layer.recipe.is_none())
        });
        if outgoing.family != own {
            kept.converted(outgoing.family)?;
        }
        outgoing.manifest = original;
        Ok(outgoing)
    }

    /// Whether layers may have to be packed from their trees: by threads, and inside the user namespace.
    pub fn needs_trees(&self, store: &Store) -> bool {
        self.layers.iter().any(|layer| is_packed(store, &layer.blob.digest, &layer.chain))
    }

    /// The image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The manifest's bytes, now that digest and size in bytes of each layer are known, and its media type.
    ///
    /// # Errors
    /// None in practice.
    pub fn manifest(&self, layers: &[(Digest, u64)]) -> Result<(Vec<u8>, &'static str)> {
        if let Some(bytes) = &self.bytes {
            return Ok((bytes.clone(), self.manifest.recorded_type()));
        }
        let mut manifest = self.manifest.clone();
        for (at, descriptor) in self.places.iter().zip(&mut manifest.layers) {
            let (Some(layer), Some((digest, size))) = (self.layers.get(*at), layers.get(*at)) else {
                continue;
            };
            if let Some(recipe) = layer.recipe {
                let media_type = self.family.compressed(recipe.compression());
                let annotations = std::mem::take(&mut descriptor.annotations);
                *descriptor =
                    Descriptor { annotations, ..Descriptor::new(media_type, digest.clone(), *size) };
            }
        }
        if manifest.family() != Some(self.family) {
            manifest = manifest.converted(self.family)?;
        }
        Ok((manifest.bytes()?, self.family.manifest()))
    }

    /// Remembers what the layers have come to.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remember(&self, store: &Store, layers: &[(Digest, u64)]) -> Result<()> {
        for (layer, (digest, size)) in self.layers.iter().zip(layers) {
            layer.remember(store, digest, *size)?;
        }
        Ok(())
    }
}

impl OutgoingLayer {
    fn new(
        store: &Store,
        blob: &Descriptor,
        (diff_id, chain): (&DiffId, &ChainId),
        form: OutgoingForm,
    ) -> OutgoingLayer {
        let is = media::compression(&blob.media_type).unwrap_or(Compression::None);
        let other = form.recompress && form.recipe.is_some_and(|recipe| recipe.compression() != is);
        let recipe = (is == Compression::None || other).then(|| form.recipe.unwrap_or_default());
        let known = match recipe {
            None => Some((blob.digest.clone(), blob.size)),
            Some(recipe) => store.layers().compressed(chain, recipe).map(|made| (made.digest, made.size)),
        };
        OutgoingLayer { blob: blob.clone(), diff_id: diff_id.clone(), chain: chain.clone(), recipe, known }
    }

    /// A layer of the store that no image needs to name, plain, compressed on its way out.
    pub(super) fn of_chain(
        store: &Store,
        (diff_id, chain): (&DiffId, &ChainId),
        archive: u64,
    ) -> OutgoingLayer {
        let blob = Descriptor::new(Family::Oci.layer(false), diff_id.0.clone(), archive);
        OutgoingLayer::new(store, &blob, (diff_id, chain), OutgoingForm::default())
    }

    pub(super) fn remember(&self, store: &Store, digest: &Digest, size: u64) -> Result<()> {
        match self.recipe {
            Some(recipe) => {
                let made = Compressed { recipe, digest: digest.clone(), size };
                store.layers().note_compressed(&self.chain, made)
            }
            None => Ok(()),
        }
    }

    /// Its media type as it is sent, in a family.
    pub(super) fn media_type(&self, family: Family) -> String {
        family.compressed(self.recipe.map_or(Compression::None, Recipe::compression))
    }

    /// Its digest in the manifest here.
    pub fn digest(&self) -> &Digest {
        &self.blob.digest
    }

    /// Its size in bytes here.
    pub fn size(&self) -> u64 {
        self.blob.size
    }

    /// Its bytes, as they are sent. The pool is asked for if they have to be compressed.
    ///
    /// # Errors
    /// When they are not here.
    pub fn bytes(&self, store: &Store, pool: impl FnOnce() -> Result<Arc<Pool>>) -> Result<LayerBytes> {
        let lost = |blob: &Digest| {
            Error::new(Kind::NotFound, format!("blob {blob} is missing"))
                .hint("Fetch the image again: coracle pull IMAGE")
        };
        let Some(recipe) = self.recipe else {
            let file = store.blobs().open(&self.blob.digest)?;
            return file.map(LayerBytes::Stored).ok_or_else(|| lost(&self.blob.digest));
        };
        let (from, layer) = (store.clone(), self.clone());
        let open = move || -> Result<Box<dyn Read>> {
            let gone = || lost(&layer.blob.digest);
            let archive =
                LayerArchive::open(&from, &layer.blob.digest, Some(&layer.chain))?.ok_or_else(gone)?;
            if layer.blob.digest == layer.diff_id.0 {
                return Ok(Box::new(archive));
            }
            let opened = decode::open(archive);
            let inner =
                opened.context(Kind::Storage, || format!("unpack layer {}", layer.diff_id.0.short()))?.1;
            let hash = Some(Hasher::new(&layer.diff_id.0));
            Ok(Box::new(Verified { inner, hash, diff_id: layer.diff_id.0 }))
        };
        CompressedArchive::start(store.blobs(), &*pool()?, recipe, open).map(LayerBytes::Compressed)
    }
}

/// An uncompressed archive that ends only if it is the one that is meant.
struct Verified {
    inner: Box<dyn Read>,
    hash: Option<Hasher>,
    diff_id: Digest,
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            if let Some(hash) = &mut self.hash {
                hash.update(&buffer[..count]);
            }
        } else if let Some(hash) = self.hash.take_if(|_| !buffer.is_empty())
            && hash.finish() != self.diff_id
        {
            return Err(io::Error::other(format!("layer {} is damaged on disk", self.diff_id.short())));
        }
        Ok(count)
    }
}
