//! Images of several platforms as one OCI layout: an index of their manifests (OCI image spec, image-index.md).

use super::manifest::{Descriptor, Index};
use super::save::{oci_end, oci_image};
use super::sink::{Dir, Sink, place};
use crate::error::{Context, Kind, Result};
use crate::image::index::OCI_INDEX;
use crate::image::{Digest, Image, Platform, Reference};
use crate::storage::Store;
use crate::storage::pack::{Options, Packer};
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;

/// Images that are one to others.
#[derive(Debug)]
pub struct Several<'a> {
    /// Each with what it is for.
    pub images: &'a [(Platform, Image)],
    /// The names of the whole.
    pub names: &'a [Reference],
    /// What the index says about it.
    pub annotations: &'a BTreeMap<String, String>,
}

impl Several<'_> {
    /// Writes an archive; gives the digest of the index.
    ///
    /// # Errors
    /// [`Kind::Storage`] when a blob is missing or damaged, or the output takes no more.
    pub fn save_archive(&self, store: &Store, out: impl Write) -> Result<Digest> {
        let mut packer = Packer::new(out, Options { to_file: true, ..Options::default() });
        let digest = self.save(store, &mut packer)?;
        packer.finish().map(|_| digest)
    }

    /// Writes into an empty directory; gives the digest of the index.
    ///
    /// # Errors
    /// As [`Several::save_archive`].
    pub fn save_directory(&self, store: &Store, dir: &Path) -> Result<Digest> {
        self.save(store, &mut Dir(dir))
    }

    fn save(&self, store: &Store, sink: &mut dyn Sink) -> Result<Digest> {
        let images: Vec<&Image> = self.images.iter().map(|(_, image)| image).collect();
        let platforms = || self.images.iter().map(|(platform, _)| platform.clone());
        let make = |made: &[Descriptor]| index_of(platforms().zip(made.iter().cloned()), self.annotations);
        let names: Vec<String> = self.names.iter().map(Reference::to_string).collect();
        put(store, &images, &names, &make, sink)
    }
}

/// Makes an index, given the descriptors of its manifests in the order of the images; its media type and bytes.
pub type MakeIndex<'a> = &'a dyn Fn(&[Descriptor]) -> Result<(String, Vec<u8>)>;

fn put(
    store: &Store,
    images: &[&Image],
    names: &[String],
    make: MakeIndex<'_>,
    sink: &mut dyn Sink,
) -> Result<Digest> {
    sink.directory("blobs")?;
    sink.directory("blobs/sha256")?;
    let mut done = HashSet::new();
    let mut made = Vec::new();
    for image in images {
        made.push(oci_image(store, image, &mut done, sink)?);
    }
    let (media_type, bytes) = make(&made)?;
    let digest = Digest::sha256_of(&bytes);
    sink.file(&place(&digest), bytes.len() as u64, &mut bytes.as_slice())?;
    oci_end(&Descriptor::new(media_type, digest.clone(), bytes.len() as u64), names, sink)?;
    Ok(digest)
}

/// An index of manifests, each with what it is for, that says this about the whole: its media type and bytes.
///
/// # Errors
/// None in practice.
pub fn index_of(
    entries: impl IntoIterator<Item = (Platform, Descriptor)>,
    annotations: &BTreeMap<String, String>,
) -> Result<(String, Vec<u8>)> {
    let entry = |(platform, entry): (Platform, Descriptor)| Descriptor {
        platform: Some((&platform).into()),
        ..entry
    };
    let index = Index::new(entries.into_iter().map(entry).collect()).annotated(annotations);
    let bytes = serde_json::to_vec(&index).context(Kind::Image, || "write an index")?;
    Ok((OCI_INDEX.to_owned(), bytes))
}
