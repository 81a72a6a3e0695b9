//! Images created here: a new layer, a configuration, a manifest.

use super::manifest::{Descriptor, Family, Manifest};
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::image::{DiffId, Digest, Image, ImageConfig, LAYERS_MAX, Reference, RootFs};
use crate::storage::blobs::{Hasher, SMALL_BLOB_MAX, Sealed, Spool};
use crate::storage::images::NewImage;
use crate::storage::layers::{Adopted, StackLayer};
use crate::storage::unpack::{Limits, decode};
use crate::storage::{SharedLock, Store};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// A layer's archive, in the store's `tmp/`.
pub struct NewLayer {
    archive: Sealed,
    diff_id: DiffId,
    media: Packing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// An archive that is written and compressed on its way into the store.
pub struct LayerWriter {
    out: GzEncoder<Spool>,
    hash: Sha256,
}

impl LayerWriter {
    /// A layer for this store.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn new(store: &Store) -> Result<LayerWriter> {
        let out = GzEncoder::new(store.blobs().spool()?, Compression::fast());
        Ok(LayerWriter { out, hash: Sha256::new() })
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn finish(self) -> Result<NewLayer> {
        let spool = self.out.finish().map_err(write_error)?;
        let diff_id = DiffId(crate::image::Digest::from_sha256(self.hash.finalize().into()));
        Ok(NewLayer { archive: spool.seal(), diff_id, media: Packing::Gzip })
    }
}

impl Write for LayerWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the spool says, or why nothing came so far.
fn write_error(e: io::Error) -> Error {
    e.downcast::<Error>().unwrap_or_else(|e| Error::new(Kind::Storage, "write the layer").caused_by(e))
}

impl NewLayer {
    /// A layer from an archive of files as it comes; one in a compression that layers may not have is recompressed.
    ///
    /// # Errors
    /// When it cannot be read to its end, or is empty.
    pub fn read(store: &Store, from: impl Read, stop: &dyn Fn() -> bool) -> Result<NewLayer> {
        let mut spool = store.blobs().spool()?;
        spool.take(from, stop)?;
        let archive = spool.seal();
        // As standard input is that was closed. An archive of no files has an end.
        if archive.size() == 0 {
            return Err(Error::new(Kind::Image, "the archive is empty")
                .hint("An image without files: tar -c -T /dev/null | coracle import - NAME"));
        }
        let failed = |e: io::Error| Error::new(Kind::Image, "read the archive").caused_by(e);
        let (format, mut reader) = decode::open(archive.reader()).map_err(failed)?;
        let mut anew = match decode::FILES_ONLY.contains(&format) {
            true => Some(LayerWriter::new(store)?),
            false => None,
        };
        let mut hash = Hasher::new(archive.digest());
        let mut buffer = vec![0; 256 << 10];
        let mut total = 0;
        loop {
            if stop() {
                return Err(Error::new(Kind::Runtime, "interrupted"));
            }
            let count = decode::fill(&mut reader, &mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            total += count as u64;
            Limits::default().check_bytes(total, archive.size())?;
            match &mut anew {
                Some(writer) => {
                    writer.write_all(&buffer[..count]).map_err(write_error)?;
                }
                None => hash.update(&buffer[..count]),
            }
        }
        drop(reader);
        if let Some(writer) = anew {
            return writer.finish();
        }
        let media = match format {
            "gzip" => Packing::Gzip,
            "zstd" => Packing::Zstd,
            _ => Packing::Plain,
        };
        Ok(NewLayer { archive, diff_id: DiffId(hash.finish()), media })
    }

    /// The digest of the uncompressed archive.
    pub fn diff_id(&self) -> &DiffId {
        &self.diff_id
    }

    fn descriptor(&self, family: Family) -> Descriptor {
        let media_type = match self.media {
            Packing::Zstd => format!("{}+zstd", Family::Oci.layer(false)),
            packing => family.layer(packing == Packing::Gzip),
        };
        Descriptor::new(media_type, self.archive.digest().clone(), self.archive.size())
    }
}

/// An image to be made.
pub struct MakeImage<'a> {
    /// Whose layers are below the new one.
    pub base: Option<&'a Image>,
    /// The new layer, unless there is none.
    pub layer: Option<NewLayer>,
    /// The configuration; its layers are filled in here.
    pub config: ImageConfig,
    /// Whose media types it has.
    pub family: Family,
    /// The names it gets.
    pub names: &'a [Reference],
}

/// Makes an image: unpacks the new layer, syncs everything and makes it visible. Starts threads (rule 1:
/// in a leaf), inside the user namespace.
///
/// # Errors
/// An archive that the unpacker refuses, a base that is incomplete, a full disk; nothing is visible then.
pub fn make_image(store: &Store, make: MakeImage<'_>) -> Result<Image> {
    let mut config = make.config;
    config.rootfs.kind = "layers".to_owned();
    config.rootfs.diff_ids = make.base.map(|base| base.config.rootfs.diff_ids.clone()).unwrap_or_default();
    let mut layers = make.base.map_or_else(|| Ok(Vec::new()), |base| layers_of(store, base, make.family))?;
    let mut stack: Vec<StackLayer> =
        make.base.iter().flat_map(|base| &base.layers).cloned().map(StackLayer::Present).collect();
    let mut archive = None;
    if let Some(layer) = make.layer {
        let descriptor = layer.descriptor(make.family);
        let job = store.layers().begin(&layer.diff_id, &descriptor.media_type, layer.archive.reader())?;
        stack.push(StackLayer::New(job.join()?));
        layers.push(descriptor);
        config.rootfs.diff_ids.push(layer.diff_id);
        archive = Some(layer.archive);
        crate::failpoint::reach("made.unpacked");
    }
    let (bytes, manifest) = documents(&config, make.family, layers, &BTreeMap::new())?;
    let digests: Vec<Digest> = archive.iter().map(|archive| archive.digest().clone()).collect();
    if let Some(archive) = archive {
        archive.publish()?;
        failpoint::reach("make.published");
    }
    let lock = store.shared()?;
    if let Err(e) = store.layers().commit(&lock, stack) {
        drop(lock);
        super::load::forget(store, &e, &digests);
        return Err(e);
    }
    failpoint::reach("make.committed");
    let media_type = make.family.manifest();
    let new = NewImage {
        manifest: &manifest,
        media_type,
        config: &bytes,
        names: make.names,
        index: None,
        from_registry: false,
    };
    store.images().record(&lock, &new)
}

/// An image of layers that are in the store.
pub struct RecordImage<'a> {
    /// Whose layers are at the bottom.
    pub base: Option<&'a Image>,
    /// Those on top of them, bottom first.
    pub layers: &'a [Adopted],
    /// The configuration; its layers are filled in here.
    pub config: ImageConfig,
    /// Whose media types it has.
    pub family: Family,
    /// What the manifest says about it; docker's format has no such.
    pub annotations: &'a BTreeMap<String, String>,
    /// The names it gets.
    pub names: &'a [Reference],
}

/// Records an image of layers that are in the store. Those that were made in place get no blobs, and are on the disk
/// when this returns. An image that is here already, under these names, costs a few small reads.
///
/// # Errors
/// [`Kind::NotFound`] when a layer is missing; a base whose manifest is lost, or has a layer that the family has no
/// type for; a full disk. Nothing is visible then.
pub fn record_image(store: &Store, lock: &SharedLock, image: RecordImage<'_>) -> Result<Image> {
    let mut config = image.config;
    let below = image.base.map(|base| base.config.rootfs.diff_ids.clone()).unwrap_or_default();
    let on_top = image.layers.iter().map(|layer| layer.diff_id.clone());
    config.rootfs = RootFs { kind: "layers".to_owned(), diff_ids: below.into_iter().chain(on_top).collect() };
    let mut layers =
        image.base.map_or_else(|| Ok(Vec::new()), |base| layers_of(store, base, image.family))?;
    layers.extend(
        image
            .layers
            .iter()
            .map(|layer| Descriptor::new(image.family.layer(false), layer.diff_id.0.clone(), layer.archive)),
    );
    let (config, manifest) = documents(&config, image.family, layers, image.annotations)?;
    let media_type = image.family.manifest();
    let new = NewImage {
        manifest: &manifest,
        media_type,
        config: &config,
        names: image.names,
        index: None,
        from_registry: false,
    };
    store.images().record(lock, &new)
}

/// The bytes of a configuration and of the manifest for it.
fn documents(
    config: &ImageConfig,
    family: Family,
    layers: Vec<Descriptor>,
    annotations: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let bytes = serde_json::to_vec(config).context(Kind::Image, || "write the configuration")?;
    if bytes.len() as u64 > SMALL_BLOB_MAX {
        let size = bytes.len();
        return Err(Error::new(
            Kind::Image,
            format!("the image's configuration is too large: {size} bytes, and at most 4 MiB are read"),
        )
        .hint("Set fewer or shorter variables and labels; files in the image can be of any size."));
    }
    let id = crate::image::Digest::sha256_of(&bytes);
    if layers.len() > LAYERS_MAX {
        let many =
            format!("an image has at most {LAYERS_MAX} layers, and this one would have {}", layers.len());
        return Err(Error::new(Kind::Image, many).hint(
            "Make one layer of them: coracle commit --squash CONTAINER, or coracle build --squash-all DIR",
        ));
    }
    let mut manifest = Manifest::new(family, (id, bytes.len() as u64), layers);
    manifest.annotations.clone_from(annotations);
    let manifest = manifest.fitting().bytes()?;
    Ok((bytes, manifest))
}

/// The descriptors of an image's layers, with the media types of a family.
///
/// # Errors
/// A manifest that is missing, or a zstd layer for docker.
fn layers_of(store: &Store, image: &Image, family: Family) -> Result<Vec<Descriptor>> {
    let lost = || {
        Error::new(Kind::Storage, format!("the manifest of image {} is missing", image.id.short()))
            .hint("Fetch the image again: coracle pull IMAGE")
    };
    let bytes = store.blobs().read(&image.manifest)?.ok_or_else(lost)?;
    let manifest = Manifest::parse(image.manifest.as_str(), &bytes)?;
    if manifest.family() == Some(family) {
        Ok(manifest.layers)
    } else {
        Ok(manifest.converted(family)?.layers)
    }
}
