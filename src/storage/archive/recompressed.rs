//! An image on its way into files with its layers compressed as asked.
//!
//! Theory of operation. A blob is called by its digest, which is known once the layer is compressed; so each layer is
//! compressed into a file without a name, on all processors (rule 1: in a leaf), and then copied to its place.

use super::layer::LayerArchive;
use super::manifest::{Descriptor, Family};
use super::names::MANIFEST;
use super::outgoing::{LayerBytes, Outgoing, OutgoingForm, OutgoingLayer};
use super::sink::{Sink, place};
use crate::error::{Context, Error, Kind, Result};
use crate::image::{Digest, Image};
use crate::storage::Store;
use crate::storage::compress::{CompressedArchive, Pool};
use std::cell::OnceCell;
use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;

/// As [`super::save::oci_image`], with the layers in this form; the family is OCI's.
///
/// # Errors
/// As there, and when no thread can be started.
pub(super) fn oci_image_in(
    store: &Store,
    image: &Image,
    form: OutgoingForm,
    done: &mut HashSet<Digest>,
    sink: &mut dyn Sink,
) -> Result<Descriptor> {
    let form = OutgoingForm { family: Some(Family::Oci), ..form };
    let outgoing = Outgoing::new(store, image, form)?;
    let layers = put_layers(store, &outgoing, &place, done, sink)?;
    let (bytes, media_type) = outgoing.manifest(&layers)?;
    let digest = Digest::sha256_of(&bytes);
    for (digest, bytes) in [(&image.id, &outgoing.config), (&digest, &bytes)] {
        if done.insert(digest.clone()) {
            sink.file(&place(digest), bytes.len() as u64, &mut bytes.as_slice())?;
        }
    }
    Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
}

/// As [`super::save::plain_dir`], with the layers in this form.
///
/// # Errors
/// As there, and when no thread can be started.
pub(super) fn plain_dir_in(
    store: &Store,
    image: &Image,
    form: OutgoingForm,
    sink: &mut dyn Sink,
) -> Result<Digest> {
    let outgoing = Outgoing::new(store, image, form)?;
    let name = |digest: &Digest| digest.hex().to_owned();
    let layers = put_layers(store, &outgoing, &name, &mut HashSet::new(), sink)?;
    sink.file(image.id.hex(), outgoing.config.len() as u64, &mut outgoing.config.as_slice())?;
    let (bytes, _) = outgoing.manifest(&layers)?;
    sink.file(MANIFEST, bytes.len() as u64, &mut bytes.as_slice())?;
    Ok(Digest::sha256_of(&bytes))
}

/// Writes the layers that are not `done`; gives digest and size in bytes of each, as they are there.
fn put_layers(
    store: &Store,
    outgoing: &Outgoing,
    name: &dyn Fn(&Digest) -> String,
    done: &mut HashSet<Digest>,
    sink: &mut dyn Sink,
) -> Result<Vec<(Digest, u64)>> {
    let pool = OnceCell::new();
    let threads = || match pool.get() {
        Some(pool) => Ok(Arc::clone(pool)),
        None => Pool::new().map(|new| Arc::clone(pool.get_or_init(|| Arc::new(new)))),
    };
    let mut put = Vec::new();
    for layer in &outgoing.layers {
        if let Some((digest, size)) = &layer.known
            && done.contains(digest)
        {
            put.push((digest.clone(), *size));
            continue;
        }
        let (digest, size) = match layer.bytes(store, threads)? {
            LayerBytes::Stored(_) => put_stored(store, layer, name, sink)?,
            LayerBytes::Compressed(archive) => {
                let (digest, size) = archive.finish()?;
                sink.file(&name(&digest), size, &mut Whole { archive: &archive, position: 0 })?;
                (digest, size)
            }
        };
        done.insert(digest.clone());
        put.push((digest, size));
    }
    // It saves work the next time, and nothing else.
    if let Err(e) = outgoing.remember(store, &put) {
        log::info!("the digests of compressed layers are not remembered: {}", e.in_one_line());
    }
    Ok(put)
}

/// Copies a layer that stays as it is to its end, where it is verified.
fn put_stored(
    store: &Store,
    layer: &OutgoingLayer,
    name: &dyn Fn(&Digest) -> String,
    sink: &mut dyn Sink,
) -> Result<(Digest, u64)> {
    let digest = layer.digest();
    let lost = || Error::new(Kind::NotFound, format!("blob {digest} is missing"));
    let mut from = LayerArchive::open(store, digest, None)?.ok_or_else(lost)?;
    if digest.algorithm() != "sha256"
        && let Some((directory, _)) = name(digest).rsplit_once('/')
    {
        sink.directory(directory)?;
    }
    sink.file(&name(digest), layer.size(), &mut from)?;
    match from.read(&mut [0]).context(Kind::Storage, || format!("read blob {digest}"))? {
        0 => Ok((digest.clone(), layer.size())),
        _ => Err(Error::new(Kind::Storage, format!("blob {digest} is longer than it was"))),
    }
}

/// A compressed archive from its first byte on.
struct Whole<'a> {
    archive: &'a CompressedArchive,
    position: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.archive.read_at(self.position, buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}
