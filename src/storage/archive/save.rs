//! Saves images from the store to an archive or directory.

use super::documents::{config_of, manifest_of, missing};
use super::layer::{LayerArchive, is_packed};
use super::manifest::{Descriptor, Family, Index};
use super::names::{INDEX, LAYOUT, LAYOUT_TEXT, MANIFEST, REF_NAME, VERSION, VERSION_TEXT};
use super::outgoing::OutgoingForm;
use super::recompressed::oci_image_in;
use super::sink::{Dir, Sink, place};
use crate::error::{Context, Error, Kind, Result};
use crate::image::{Digest, Image};
use crate::storage::Store;
use crate::storage::blobs::Hasher;
use crate::storage::pack::{Options, Packer};
use crate::storage::unpack::decode;
use flate2::Compression;
use flate2::read::GzEncoder;
use serde_json::json;
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::Path;

/// What an image is saved as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveFormat {
    /// An archive that `docker load` takes.
    DockerArchive,
    /// An OCI image layout as an archive.
    OciArchive,
    /// An OCI image layout as a directory.
    OciDir,
    /// A directory in the format of skopeo's `dir:`, with docker's manifest.
    DockerDir,
}

/// An image with the names it is to have in the archive.
#[derive(Debug)]
pub struct Item {
    /// The image.
    pub image: Image,
    /// Its names, as they are to be there.
    pub names: Vec<String>,
}

/// Writes images as one archive. An OCI archive holds one image.
///
/// # Errors
/// [`Kind::Storage`] when a blob is missing or damaged, or the output takes no more.
pub fn save_archive(store: &Store, format: SaveFormat, items: &[Item], out: impl Write) -> Result<()> {
    let mut packer = Packer::new(out, Options { to_file: true, ..Options::default() });
    if format == SaveFormat::DockerArchive {
        docker_archive(store, items, &mut packer)?;
    } else {
        for item in items {
            oci(store, item, None, &mut packer)?;
        }
    }
    packer.finish().map(drop)
}

/// Writes an image into an empty directory. `compress` packs plain layers by gzip (`docker-dir` only).
///
/// # Errors
/// As [`save_archive`].
pub fn save_directory(
    store: &Store,
    format: SaveFormat,
    item: &Item,
    dir: &Path,
    compress: bool,
) -> Result<()> {
    if format == SaveFormat::OciDir {
        return oci(store, item, None, &mut Dir(dir)).map(drop);
    }
    let mut sink = Dir(dir);
    sink.file(VERSION, VERSION_TEXT.len() as u64, &mut &*VERSION_TEXT)?;
    plain_dir(store, &item.image, Some(Family::Docker), compress, &mut sink).map(drop)
}

/// Writes an image as an OCI image layout in an archive, with the layers as they are or in another form; gives the
/// digest of its manifest.
///
/// # Errors
/// As [`save_archive`].
pub fn save_oci_archive(
    store: &Store,
    item: &Item,
    form: Option<OutgoingForm>,
    out: impl Write,
) -> Result<Digest> {
    let mut packer = Packer::new(out, Options { to_file: true, ..Options::default() });
    let entry = oci(store, item, form, &mut packer)?;
    packer.finish().map(|_| entry.digest)
}

/// The archive of a layer, which is where it is in the image's manifest.
fn archive_of(store: &Store, image: &Image, at: usize, digest: &Digest) -> Result<LayerArchive> {
    LayerArchive::open(store, digest, image.layers.get(at))?.ok_or_else(|| missing(image, digest))
}

/// Whether layers have to be packed from their trees to save these images: by threads, and inside the user namespace.
///
/// # Errors
/// When a manifest is missing or damaged.
pub fn packs_layers(store: &Store, items: &[Item]) -> Result<bool> {
    for item in items {
        let layers = manifest_of(store, &item.image)?.0.layers;
        if layers.iter().zip(&item.image.layers).any(|(layer, id)| is_packed(store, &layer.digest, id)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies a layer's archive to its end, where it is verified.
fn copy_layer(
    store: &Store,
    image: &Image,
    (at, layer): (usize, &Descriptor),
    name: &str,
    sink: &mut dyn Sink,
) -> Result<()> {
    let mut from = archive_of(store, image, at, &layer.digest)?;
    sink.file(name, layer.size, &mut from)?;
    // At its end it is verified; there must not be more of it either.
    match from.read(&mut [0]).context(Kind::Storage, || format!("save image {}", image.id.short()))? {
        0 => Ok(()),
        _ => Err(Error::new(Kind::Storage, format!("blob {} is longer than it was", layer.digest))),
    }
}

/// An OCI layout with one image; one entry for each of its names.
fn oci(store: &Store, item: &Item, form: Option<OutgoingForm>, sink: &mut dyn Sink) -> Result<Descriptor> {
    sink.directory("blobs")?;
    sink.directory("blobs/sha256")?;
    let done = &mut HashSet::new();
    let entry = match form {
        None => oci_image(store, &item.image, done, sink)?,
        Some(form) => oci_image_in(store, &item.image, form, done, sink)?,
    };
    oci_end(&entry, &item.names, sink)?;
    Ok(entry)
}

/// The blobs of an image that are not `done`, as OCI's; gives the descriptor of its manifest.
///
/// # Errors
/// When a blob is missing or damaged, or the output takes no more.
pub(super) fn oci_image(
    store: &Store,
    image: &Image,
    done: &mut HashSet<Digest>,
    sink: &mut dyn Sink,
) -> Result<Descriptor> {
    let (mut manifest, mut bytes) = manifest_of(store, image)?;
    if manifest.family() != Some(Family::Oci) {
        manifest = manifest.converted(Family::Oci)?;
        bytes = manifest.bytes()?;
    }
    let config = config_of(store, image)?;
    let digest = Digest::sha256_of(&bytes);
    for (at, layer) in manifest.layers.iter().enumerate() {
        if done.insert(layer.digest.clone()) {
            if layer.digest.algorithm() != "sha256" {
                sink.directory(&format!("blobs/{}", layer.digest.algorithm()))?;
            }
            copy_layer(store, image, (at, layer), &place(&layer.digest), sink)?;
        }
    }
    for (digest, bytes) in [(&manifest.config.digest, &config), (&digest, &bytes)] {
        if done.insert(digest.clone()) {
            sink.file(&place(digest), bytes.len() as u64, &mut bytes.as_slice())?;
        }
    }
    Ok(Descriptor::new(Family::Oci.manifest(), digest, bytes.len() as u64))
}

/// What an OCI layout ends with: its entry, once for each name.
///
/// # Errors
/// When the output takes no more.
pub(super) fn oci_end(entry: &Descriptor, names: &[String], sink: &mut dyn Sink) -> Result<()> {
    let named = |name: &String| {
        let mut entry = entry.clone();
        entry.annotations.insert(REF_NAME.to_owned(), name.clone());
        entry
    };
    let mut entries: Vec<Descriptor> = names.iter().map(named).collect();
    if entries.is_empty() {
        entries.push(entry.clone());
    }
    let index = serde_json::to_vec(&Index::new(entries)).context(Kind::Image, || "write an index")?;
    sink.file(INDEX, index.len() as u64, &mut index.as_slice())?;
    sink.file(LAYOUT, LAYOUT_TEXT.len() as u64, &mut &*LAYOUT_TEXT)
}

/// docker's archive: plain layers named by diff id, configurations, a list.
fn docker_archive<W: Write>(store: &Store, items: &[Item], packer: &mut Packer<'_, W>) -> Result<()> {
    let mut done: HashSet<Digest> = HashSet::new();
    let mut list = Vec::new();
    for item in items {
        let (manifest, _) = manifest_of(store, &item.image)?;
        let diff_ids = &item.image.config.rootfs.diff_ids;
        if manifest.layers.len() != diff_ids.len() {
            return Err(Error::new(
                Kind::Image,
                format!(
                    "image {} has a different number of layers than its configuration",
                    item.image.id.short()
                ),
            ));
        }
        for (at, (layer, diff_id)) in manifest.layers.iter().zip(diff_ids).enumerate() {
            if done.insert(diff_id.0.clone()) {
                plain_layer(store, &item.image, (at, &layer.digest), &diff_id.0, packer)?;
            }
        }
        let config = format!("{}.json", item.image.id.hex());
        if done.insert(item.image.id.clone()) {
            packer.file(config.as_bytes(), 0o644, &config_of(store, &item.image)?)?;
        }
        let layers: Vec<String> = diff_ids.iter().map(|id| format!("{}.tar", id.0.hex())).collect();
        list.push(json!({"Config": config, "RepoTags": item.names, "Layers": layers}));
    }
    let list = serde_json::to_vec(&list).context(Kind::Image, || "write a list of images")?;
    packer.file(MANIFEST.as_bytes(), 0o644, &list)
}

/// A header comes before its content and says how long it is, so a compressed layer is unpacked twice:
/// once to count, once to write.
fn plain_layer<W: Write>(
    store: &Store,
    image: &Image,
    (at, blob): (usize, &Digest),
    diff_id: &Digest,
    packer: &mut Packer<'_, W>,
) -> Result<()> {
    let name = format!("{}.tar", diff_id.hex());
    if blob == diff_id {
        let mut plain = archive_of(store, image, at, blob)?;
        packer.stream(name.as_bytes(), 0o644, plain.size(), &mut plain)?;
        // Its end, where it is verified.
        return match plain.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::new(Kind::Storage, format!("blob {blob} is longer than it was"))),
            Err(e) => Err(Error::new(Kind::Storage, format!("save image {}", image.id.short())).caused_by(e)),
        };
    }
    let broken = || format!("unpack layer {} of image {}", diff_id.short(), image.id.short());
    let open = || -> Result<Box<dyn Read>> {
        let file = store.blobs().open(blob)?.ok_or_else(|| missing(image, blob))?;
        Ok(decode::open(file).context(Kind::Storage, broken)?.1)
    };
    let size = io::copy(&mut open()?, &mut io::sink()).context(Kind::Storage, broken)?;
    let mut reader = Hashing { inner: open()?, hash: Hasher::new(diff_id) };
    packer.stream(name.as_bytes(), 0o644, size, &mut reader)?;
    if reader.hash.finish() == *diff_id {
        return Ok(());
    }
    Err(Error::new(Kind::Storage, format!("blob {blob} is damaged on disk"))
        .hint("Remove the image and pull it again: coracle rmi IMAGE && coracle pull IMAGE"))
}

struct Hashing<R> {
    inner: R,
    hash: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// skopeo's `dir:`: every blob by the digits of its digest, and at last the manifest, whose digest is given. It is of
/// this family if one is given. `compress` packs plain layers by gzip.
///
/// # Errors
/// When a blob is missing or damaged, or the output takes no more.
pub(super) fn plain_dir(
    store: &Store,
    image: &Image,
    family: Option<Family>,
    compress: bool,
    sink: &mut dyn Sink,
) -> Result<Digest> {
    let (original, bytes) = manifest_of(store, image)?;
    let family = family.or(original.family()).unwrap_or(Family::Oci);
    let same_family = original.family() == Some(family);
    let mut manifest = if same_family { original.clone() } else { original.converted(family)? };
    let mut done = HashSet::new();
    for (at, layer) in manifest.layers.iter_mut().enumerate() {
        if compress && layer.media_type == family.layer(false) {
            let plain = archive_of(store, image, at, &layer.digest)?;
            *layer = compressed(store, plain, family, &mut done, sink)?;
        } else if done.insert(layer.digest.clone()) {
            copy_layer(store, image, (at, layer), layer.digest.hex(), sink)?;
        }
    }
    let config = config_of(store, image)?;
    sink.file(image.id.hex(), config.len() as u64, &mut config.as_slice())?;
    // The bytes stay as they are where nothing had to change.
    let same = same_family && manifest.layers == original.layers;
    let bytes = if same { bytes } else { manifest.bytes()? };
    sink.file(MANIFEST, bytes.len() as u64, &mut bytes.as_slice())?;
    Ok(Digest::sha256_of(&bytes))
}

/// A plain layer, compressed.
fn compressed(
    store: &Store,
    plain: LayerArchive,
    family: Family,
    done: &mut HashSet<Digest>,
    sink: &mut dyn Sink,
) -> Result<Descriptor> {
    let mut spool = store.blobs().spool()?.nameless()?;
    spool.take(GzEncoder::new(plain, Compression::default()), &|| false)?;
    let sealed = spool.seal();
    let (digest, size) = (sealed.digest().clone(), sealed.size());
    if done.insert(digest.clone()) {
        sink.file(digest.hex(), size, &mut sealed.reader())?;
    }
    Ok(Descriptor::new(family.layer(true), digest, size))
}
