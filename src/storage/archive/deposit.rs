//! Writes into a directory that may have images already: `oci:` and `dir:` (containers-transports(5)), and caches.
//!
//! Theory of operation. The file that says what the directory is comes first, so that the same command again goes on with
//! what a killed one has left. Then come the blobs, each under its name only when it is whole, and at last the file
//! that says which images there are, replaced as a whole. So a reader, or one who comes after a kill, finds the state
//! before or the one after. Writers exclude each other by a lock on the directory. It may come from a stranger: below
//! it no symbolic link is followed, and what it has is believed only if it has the digest that it is called by.

use super::documents::manifest_of;
use super::load::check_count;
use super::manifest::{Descriptor, Family, Index};
use super::names::{INDEX, LAYOUT, LAYOUT_TEXT, MANIFEST, REF_NAME, VERSION, VERSION_TEXT};
use super::outgoing::OutgoingForm;
use super::output::write_at;
use super::recompressed::{oci_image_in, plain_dir_in};
use super::save::{oci_image, plain_dir};
use super::sink::{Sink, place};
use super::source::Source;
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::image::{Digest, Image, document};
use crate::storage::Store;
use crate::storage::blobs::Hasher;
use crate::storage::record::failed_outside as failed;
use crate::storage::unpack::file_type;
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, ResolveFlag};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What all versions of a `dir:` directory's `version` begin with.
const VERSION_START: &[u8] = b"Directory Transport Version:";

/// Adds an image to an OCI image layout, which is made if it is not there, with the layers as they are or in another
/// form; gives the digest of its manifest. An image that had the name loses it and stays.
///
/// # Errors
/// A directory with other things, a blob that is missing or damaged, a full disk.
pub fn add_to_layout(
    store: &Store,
    image: &Image,
    form: Option<OutgoingForm>,
    name: Option<&str>,
    dir: &Path,
) -> Result<Digest> {
    add_entry(dir, name, |done, sink| {
        sink.note_present(store, image, done)?;
        match form {
            None => oci_image(store, image, done, sink),
            Some(form) => oci_image_in(store, image, form, done, sink),
        }
    })
}

/// Adds to an OCI image layout, which is made if it is not there, what `put` writes as blobs but for those that are there
/// already; gives the digest of what that names.
///
/// # Errors
/// As [`add_to_layout`], and those of `put`.
pub(super) fn add_entry(
    dir: &Path,
    name: Option<&str>,
    put: impl FnOnce(&mut HashSet<Digest>, &mut Deposit) -> Result<Descriptor>,
) -> Result<Digest> {
    let mut sink = Deposit::open(dir)?;
    let is_new = sink.source()?.read(LAYOUT)?.is_none();
    if is_new {
        sink.refuse_others("an OCI image layout")?;
    }
    let old = sink.source()?.read(INDEX)?;
    // Refuses what is malformed before anything is added.
    listed(old.as_deref(), None, None)?;
    if is_new {
        sink.file(LAYOUT, LAYOUT_TEXT.len() as u64, &mut &*LAYOUT_TEXT)?;
    }
    sink.directory("blobs")?;
    sink.directory("blobs/sha256")?;
    let entry = put(&mut HashSet::new(), &mut sink)?;
    failpoint::reach("push.placed");
    let index = listed(old.as_deref(), Some(&entry), name)?;
    sink.file(INDEX, index.len() as u64, &mut index.as_slice())?;
    Ok(entry.digest)
}

/// Makes an image the only one of a `dir:` directory, which is made if it is not there; gives the digest of its
/// manifest, which is of this family if one is given. `compress` packs plain layers by gzip; a form says more.
///
/// # Errors
/// As [`add_to_layout`].
pub fn replace_directory(
    store: &Store,
    image: &Image,
    (family, compress): (Option<Family>, bool),
    form: Option<OutgoingForm>,
    dir: &Path,
) -> Result<Digest> {
    replace_with(dir, |sink| match form {
        None => plain_dir(store, image, family, compress, sink),
        Some(form) => plain_dir_in(store, image, form, sink),
    })
}

/// Makes what `put` writes all that a `dir:` directory has, which is made if it is not there.
///
/// # Errors
/// As [`add_to_layout`], and those of `put`.
pub(super) fn replace_with(dir: &Path, put: impl FnOnce(&mut Deposit) -> Result<Digest>) -> Result<Digest> {
    let mut sink = Deposit::open(dir)?;
    if !sink.source()?.read(VERSION)?.is_some_and(|text| text.starts_with(VERSION_START)) {
        sink.refuse_others("a directory of an image")?;
    }
    sink.file(VERSION, VERSION_TEXT.len() as u64, &mut &*VERSION_TEXT)?;
    let digest = put(&mut sink)?;
    failpoint::reach("push.placed");
    sink.sweep();
    Ok(digest)
}

/// The index with one more entry, if there is one; what else it says stays.
fn listed(old: Option<&[u8]>, entry: Option<&Descriptor>, name: Option<&str>) -> Result<Vec<u8>> {
    let mut index: Value = match old {
        Some(bytes) => {
            check_count(Index::parse(INDEX, bytes)?.manifests.len() + 1)?;
            document::parse(bytes).context(Kind::Image, || "read index.json")?
        }
        None => json!(Index::new(Vec::new())),
    };
    if let (Some(entry), Some(entries)) = (entry, index["manifests"].as_array_mut()) {
        let mut entry = entry.clone();
        entry.annotations.extend(name.map(|name| (REF_NAME.to_owned(), name.to_owned())));
        for other in entries.iter_mut().filter(|other| name.is_some_and(|name| is_called(other, name))) {
            forget_name(other);
        }
        let same = |other: &&mut Value| other["digest"] == json!(entry.digest);
        match entries.iter_mut().filter(same).find(|other| name.is_none() || other["annotations"].is_null()) {
            // It has a name already, and needs no entry without one.
            Some(_) if name.is_none() => {}
            Some(other) => *other = json!(entry),
            None => entries.push(json!(entry)),
        }
    }
    serde_json::to_vec(&index).context(Kind::Image, || "write an index")
}

fn is_called(entry: &Value, name: &str) -> bool {
    entry["annotations"][REF_NAME] == json!(name)
}

fn forget_name(entry: &mut Value) {
    let Some(entry) = entry.as_object_mut() else { return };
    if let Some(annotations) = entry.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(REF_NAME);
        if annotations.is_empty() {
            entry.remove("annotations");
        }
    }
}

/// A directory that is written to, below which nothing is followed.
pub(super) struct Deposit {
    /// Locked.
    dir: File,
    path: PathBuf,
    /// What has been written.
    written: HashSet<String>,
}

impl Deposit {
    /// Opens the directory, which is made if it is not there, and locks it.
    ///
    /// # Errors
    /// When it cannot be made, or something else is in its place.
    pub(super) fn open(path: &Path) -> Result<Deposit> {
        let cannot =
            |e: io::Error| Error::new(Kind::Usage, format!("use directory {}", path.display())).caused_by(e);
        fs::create_dir_all(path).map_err(cannot)?;
        let dir = File::open(path).map_err(cannot)?;
        if !dir.metadata().map_err(cannot)?.is_dir() {
            return Err(cannot(Errno::ENOTDIR.into()));
        }
        // A file system without locks has to do without.
        let _ = dir.lock();
        Ok(Deposit { dir, path: path.to_owned(), written: HashSet::new() })
    }

    /// Notes which layers of an image are there and need not be written.
    ///
    /// # Errors
    /// When the image's manifest is missing or damaged.
    pub(super) fn note_present(
        &self,
        store: &Store,
        image: &Image,
        done: &mut HashSet<Digest>,
    ) -> Result<()> {
        for layer in manifest_of(store, image)?.0.layers {
            if !done.contains(&layer.digest) && self.has(&layer.digest)? {
                done.insert(layer.digest);
            }
        }
        Ok(())
    }

    fn source(&self) -> Result<Source> {
        let dir = self.dir.try_clone().map_err(|e| failed("open", &self.path, e))?;
        Ok(Source::directory(dir.into()))
    }

    /// Refuses a directory that has something, as it is not what it would have to be.
    fn refuse_others(&self, what: &str) -> Result<()> {
        let mut entries = fs::read_dir(&self.path).map_err(|e| failed("read", &self.path, e))?;
        if entries.next().is_none() {
            return Ok(());
        }
        let path = self.path.display();
        Err(Error::new(Kind::Usage, format!("directory {path} is not empty, and not {what}"))
            .hint("Name an empty directory, or one that is not there."))
    }

    /// Whether a blob is there and is what it is called.
    fn has(&self, digest: &Digest) -> Result<bool> {
        let Ok(Some(mut blob)) = self.source()?.open(&place(digest)) else { return Ok(false) };
        let (mut hash, mut buffer) = (Hasher::new(digest), vec![0; 256 << 10]);
        loop {
            match blob.read(&mut buffer) {
                Ok(0) => return Ok(hash.finish() == *digest),
                Ok(count) => hash.update(&buffer[..count]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(false),
            }
        }
    }

    /// Whether a file of this many bytes has the name.
    pub(super) fn has_file(&self, name: &str, size: u64) -> Result<bool> {
        let (parent, last) = self.parent(name)?;
        let found = fstatat(&parent, last, AtFlags::AT_SYMLINK_NOFOLLOW);
        Ok(found.is_ok_and(|found| file_type(&found) == SFlag::S_IFREG && found.st_size as u64 == size))
    }

    /// Writes a member, which takes the place of what has its name once it is whole.
    ///
    /// # Errors
    /// Those of `write`, or when the file system refuses.
    pub(super) fn put(&mut self, name: &str, write: impl FnOnce(&File) -> Result<()>) -> Result<()> {
        let (parent, last) = self.parent(name)?;
        write_at(&parent, last, &self.path.join(name), write)?;
        self.written.insert(name.to_owned());
        Ok(())
    }

    /// The directory that a member is in, and its name there.
    fn parent<'a>(&self, name: &'a str) -> Result<(OwnedFd, &'a str)> {
        let (parent, name) = name.rsplit_once('/').unwrap_or((".", name));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let bounds = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let opened = open_within(&self.dir, parent, flags, bounds);
        Ok((opened.map_err(|e| failed("open", &self.path.join(parent), e.into()))?, name))
    }

    /// Removes the blobs of an earlier image. They are of no use, and nothing has failed if they stay.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            let digits = name.strip_suffix(".manifest.json").unwrap_or(&name);
            let is_digest = matches!(digits.len(), 64 | 128) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let is_signature = name.strip_prefix("signature-").is_some_and(|n| n.parse::<u32>().is_ok());
            if (is_digest || is_signature) && !self.written.contains(&name) {
                let _ = unlinkat(&self.dir, name.as_str(), UnlinkatFlags::NoRemoveDir);
            }
        }
    }
}

impl Sink for Deposit {
    fn directory(&mut self, name: &str) -> Result<()> {
        let (parent, last) = self.parent(name)?;
        match mkdirat(&parent, last, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(e) => Err(failed("create", &self.path.join(name), e.into())),
        }
    }

    fn file(&mut self, name: &str, _: u64, from: &mut dyn Read) -> Result<()> {
        let path = self.path.join(name);
        self.put(name, |mut file| {
            io::copy(from, &mut file).map_err(|e| failed("write", &path, e)).map(drop)
        })?;
        if name != MANIFEST && name != INDEX {
            failpoint::reach("push.file");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(digit: char) -> Descriptor {
        let digest = format!("sha256:{}", String::from(digit).repeat(64)).parse().unwrap();
        Descriptor::new(Family::Oci.manifest(), digest, 1)
    }

    /// The names of the entries, each with the first digit of its digest.
    fn names(index: &[u8]) -> Vec<String> {
        let index: Value = serde_json::from_slice(index).unwrap();
        let of = |entry: &Value| {
            let name = entry["annotations"][REF_NAME].as_str().unwrap_or("-");
            format!("{}={name}", &entry["digest"].as_str().unwrap()[7..8])
        };
        index["manifests"].as_array().unwrap().iter().map(of).collect()
    }

    #[test]
    fn an_index_keeps_what_it_has() {
        let first = listed(None, Some(&entry('a')), Some("one")).unwrap();
        assert_eq!(names(&first), ["a=one"]);
        let again = listed(Some(&first), Some(&entry('a')), Some("one")).unwrap();
        assert_eq!(again, first);
        let two = listed(Some(&first), Some(&entry('a')), Some("two")).unwrap();
        assert_eq!(names(&two), ["a=one", "a=two"]);
        // The name moves; the image that had it stays.
        let moved = listed(Some(&first), Some(&entry('b')), Some("one")).unwrap();
        assert_eq!(names(&moved), ["a=-", "b=one"]);
        let back = listed(Some(&moved), Some(&entry('a')), Some("one")).unwrap();
        assert_eq!(names(&back), ["a=one", "b=-"]);
        let nameless = listed(Some(&first), Some(&entry('a')), None).unwrap();
        assert_eq!(names(&nameless), ["a=one"]);
        let nameless = listed(Some(&first), Some(&entry('c')), None).unwrap();
        assert_eq!(names(&nameless), ["a=one", "c=-"]);
    }

    #[test]
    fn what_others_say_in_an_index_stays() {
        let old = json!({"schemaVersion": 2, "annotations": {"a": "b"}, "manifests": [
            {"mediaType": "x/y", "digest": format!("sha256:{}", "d".repeat(64)), "size": 7, "odd": true,
             "annotations": {REF_NAME: "one", "else": "kept"}}]});
        let new = listed(Some(old.to_string().as_bytes()), Some(&entry('a')), Some("one")).unwrap();
        let new: Value = serde_json::from_slice(&new).unwrap();
        assert_eq!(new["annotations"], json!({"a": "b"}));
        assert_eq!(new["manifests"][0]["annotations"], json!({"else": "kept"}));
        assert_eq!((&new["manifests"][0]["odd"], &new["manifests"][0]["size"]), (&json!(true), &json!(7)));
        assert!(listed(Some(b"{}"), Some(&entry('a')), None).is_err());
    }
}
