//! Lists on their way into files: every image of them, and an index that names these as they are there.

use super::deposit::{add_entry, replace_with};
use super::manifest::{Descriptor, Family};
use super::names::MANIFEST;
use super::outgoing::OutgoingForm;
use super::recompressed::{oci_image_in, plain_dir_in};
use super::save::{oci_end, oci_image, plain_dir};
use super::several::MakeIndex;
use super::sink::{Sink, place};
use crate::error::{Context, Kind, Result};
use crate::image::{Digest, Image};
use crate::storage::Store;
use crate::storage::pack::{Options, Packer};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;

/// A list that is written to a file or a directory.
pub struct WholeList<'a> {
    /// Its images, in the order of its index.
    pub images: &'a [&'a Image],
    /// What it is called there.
    pub name: Option<&'a str>,
    /// Makes its index.
    pub make: MakeIndex<'a>,
    /// How layers are compressed, if they do not stay as they are.
    pub form: Option<OutgoingForm>,
}

impl WholeList<'_> {
    /// Writes an archive of an OCI image layout; gives the digest of the index.
    ///
    /// # Errors
    /// [`Kind::Storage`] when a blob is missing or damaged, or the output takes no more.
    pub fn save_archive(&self, store: &Store, out: impl Write) -> Result<Digest> {
        let mut packer = Packer::new(out, Options { to_file: true, ..Options::default() });
        packer.directory(b"blobs", 0o755)?;
        packer.directory(b"blobs/sha256", 0o755)?;
        let entry = self.put(store, &mut HashSet::new(), &mut packer)?;
        let names: Vec<String> = self.name.map(str::to_owned).into_iter().collect();
        oci_end(&entry, &names, &mut packer)?;
        packer.finish().map(|_| entry.digest)
    }

    /// Adds it to an OCI image layout, which is made if it is not there; gives the digest of the index. What had the name
    /// loses it and stays.
    ///
    /// # Errors
    /// A directory with other things, a blob that is missing or damaged, a full disk.
    pub fn add_to_layout(&self, store: &Store, dir: &Path) -> Result<Digest> {
        add_entry(dir, self.name, |done, sink| {
            self.images.iter().try_for_each(|image| sink.note_present(store, image, done))?;
            self.put(store, done, sink)
        })
    }

    /// Makes it all that a `dir:` directory has, which is made if it is not there: the index is its manifest, and those of
    /// the images are named by their digests. Gives the digest of the index.
    ///
    /// # Errors
    /// As [`WholeList::add_to_layout`].
    pub fn replace_directory(&self, store: &Store, dir: &Path) -> Result<Digest> {
        replace_with(dir, |sink| {
            let mut made = Vec::new();
            for image in self.images {
                let mut instance = Instance { sink: &mut *sink, entry: None };
                match self.form {
                    None => plain_dir(store, image, None, false, &mut instance)?,
                    Some(form) => plain_dir_in(store, image, form, &mut instance)?,
                };
                made.extend(instance.entry);
            }
            let (_, bytes) = (self.make)(&made)?;
            sink.file(MANIFEST, bytes.len() as u64, &mut bytes.as_slice())?;
            Ok(Digest::sha256_of(&bytes))
        })
    }

    /// Writes the images that are not `done`, and the index, as blobs; gives what names that.
    fn put(&self, store: &Store, done: &mut HashSet<Digest>, sink: &mut dyn Sink) -> Result<Descriptor> {
        let mut made = Vec::new();
        for image in self.images {
            made.push(match self.form {
                None => oci_image(store, image, done, sink)?,
                Some(form) => oci_image_in(store, image, form, done, sink)?,
            });
        }
        let (media_type, bytes) = (self.make)(&made)?;
        let digest = Digest::sha256_of(&bytes);
        if done.insert(digest.clone()) {
            sink.file(&place(&digest), bytes.len() as u64, &mut bytes.as_slice())?;
        }
        Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
    }
}

/// Takes an image that is one of several in a `dir:` directory: its manifest is named by its digest.
struct Instance<'a> {
    sink: &'a mut dyn Sink,
    /// What names it, once it is written.
    entry: Option<Descriptor>,
}

impl Sink for Instance<'_> {
    fn directory(&mut self, name: &str) -> Result<()> {
        self.sink.directory(name)
    }

    fn file(&mut self, name: &str, size: u64, from: &mut dyn Read) -> Result<()> {
        if name != MANIFEST {
            return self.sink.file(name, size, from);
        }
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).context(Kind::Storage, || "read a manifest")?;
        let digest = Digest::sha256_of(&bytes);
        let family = super::manifest::Manifest::parse(digest.as_str(), &bytes)?.family();
        let kind = family.unwrap_or(Family::Oci).manifest();
        self.sink.file(&format!("{}.{MANIFEST}", digest.hex()), size, &mut bytes.as_slice())?;
        self.entry = Some(Descriptor::new(kind, digest, size));
        Ok(())
    }
}
