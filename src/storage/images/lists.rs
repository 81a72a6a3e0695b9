//! Lists: what names the images of several platforms as one.
//!
//! Theory of operation. `lists/<id>` names the bytes of an index, which are a blob, and says of each of its entries
//! which image of the store it is, or which repository has it. The id is chosen when the list is made and stays
//! while the index changes, as in podman. An image that is in a list has its own record as any other; that the list
//! has it keeps `prune` and `rmi` from taking it. The directory is made with the first list.

use super::found::{Found, Instance, List};
use super::listing::{in_use_first, known_digests};
use super::records::{ListRecord, ManifestRef, Part, RefRecord, Target};
use super::{Brief, IMAGES, Images, LISTS, Listed, REFS, key};
use crate::error::{Error, Kind, Result, phrases};
use crate::failpoint;
use crate::image::{Digest, Image, Index, Platform, Reference};
use crate::storage::SharedLock;
use crate::storage::blobs::SMALL_BLOB_MAX;
use crate::storage::place::Place;
use crate::storage::record::{Durability, failed, warn_once};
use crate::sys::random;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};

impl Images {
    /// Makes a list with these names, which nothing has yet.
    ///
    /// The order: the index's blob, the list's record, its names one by one, the derived index. Each is on the disk
    /// before the next begins, so whoever is killed in between leaves a blob that nothing names or a list that lacks
    /// names; `image prune` takes both.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when a name is taken, unless `moving`, which takes it from what has it; nothing is made then.
    pub fn create_list(
        &self,
        _lock: &SharedLock,
        names: &[Reference],
        (index, parts): (&Index, &[Part]),
        moving: bool,
    ) -> Result<List> {
        let lists = Place::make(&self.roots.data.join(LISTS))?;
        let records = self.records_lock()?;
        for name in names.iter().filter(|_| !moving) {
            if let Some(taken) = self.own(REFS)?.read::<RefRecord>(key(name).hex())? {
                return Err(phrases::list_name_taken(&name.to_string(), taken.target.id().hex()));
            }
        }
        let manifest = self.put_index(index)?;
        failpoint::reach("list.blob");
        let id = self.new_id()?;
        let mut record = ListRecord {
            version: 1,
            id: id.clone(),
            index: manifest,
            parts: parts.to_vec(),
            digests: Vec::new(),
            remote: Some(Vec::new()),
            history: Vec::new(),
            created: Utc::now(),
        };
        names.iter().for_each(|name| record.note_name(name));
        lists.replace(id.hex(), &record, Durability::Synced)?;
        failpoint::reach("list.recorded");
        for name in names {
            self.write_ref(name, Target::List { list: id.clone() })?;
            failpoint::reach("list.named");
        }
        drop(records);
        self.derive_index();
        Ok(List {
            id,
            reference: names.first().cloned(),
            digest: record.index.digest,
            index: index.clone(),
            parts: record.parts,
            lost: None,
        })
    }

    /// Changes a list of our own store; gives what it is then, and the digest of the index that it was, if that is
    /// another: nothing names its blob now, and [`Images::discard_blobs`] takes it.
    ///
    /// The order: the new index's blob, then the list's record, which decides.
    ///
    /// # Errors
    /// Those of `change`, or when the file system refuses; the list is what it was then.
    pub fn change_list(
        &self,
        _lock: &SharedLock,
        id: &Digest,
        change: impl FnOnce(&mut Index, &mut Vec<Part>) -> Result<()>,
    ) -> Result<(List, Option<Digest>)> {
        let records = self.records_lock()?;
        let mut record = self.own_list(id)?;
        let mut index = self.index_of(&record)?;
        change(&mut index, &mut record.parts)?;
        let known: HashSet<&Digest> = index.manifests.iter().map(|entry| &entry.digest).collect();
        record.parts.retain(|part| known.contains(&part.digest));
        let before = std::mem::replace(&mut record.index, self.put_index(&index)?);
        failpoint::reach("list.blob");
        if let Some(lists) = self.own_lists()? {
            lists.replace(id.hex(), &record, Durability::Synced)?;
        }
        failpoint::reach("list.recorded");
        drop(records);
        self.derive_index();
        let old = Some(before.digest).filter(|old| *old != record.index.digest);
        let ListRecord { index: ManifestRef { digest, .. }, parts, .. } = record;
        Ok((List { id: id.clone(), reference: None, digest, index, parts, lost: None }, old))
    }

    /// Gives a list of our own store a name. If something else has it, the name is moved.
    ///
    /// The order is that of [`Images::tag`].
    ///
    /// # Errors
    /// When the file system refuses; the name is what it was then.
    pub fn tag_list(&self, _lock: &SharedLock, id: &Digest, name: &Reference) -> Result<()> {
        let records = self.records_lock()?;
        let mut record = self.own_list(id)?;
        record.note_name(name);
        if let Some(lists) = self.own_lists()? {
            lists.replace(id.hex(), &record, Durability::Synced)?;
        }
        drop(records);
        failpoint::reach("tag.noted");
        self.write_ref(name, Target::List { list: id.clone() })?;
        failpoint::reach("tag.named");
        self.derive_index();
        Ok(())
    }

    /// Notes that a list is in a registry now, as this index in the name's repository.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn note_pushed_list(&self, id: &Digest, name: &Reference, digest: &Digest) -> Result<()> {
        let _records = self.records_lock()?;
        let mut record = self.own_list(id)?;
        record.note_remote(name, digest);
        match self.own_lists()? {
            Some(lists) => lists.replace(id.hex(), &record, Durability::Synced),
            None => Ok(()),
        }
    }

    /// What a list has for a platform, which is this machine's for `None`.
    ///
    /// # Errors
    /// [`Kind::Image`] when no entry is for it, or when an image is damaged.
    pub fn instance(&self, list: &List, wanted: Option<&Platform>) -> Result<Instance> {
        let entry = list.index.choose(wanted)?;
        Ok(match self.image_of(list, &entry.digest)? {
            Some(image) => Instance::Here(Box::new(image)),
            None => Instance::Elsewhere {
                digest: entry.digest.clone(),
                source: list.part(&entry.digest).and_then(|part| part.source.clone()),
            },
        })
    }

    /// The image of the store that an entry of a list is, if it is here.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn image_of(&self, list: &List, entry: &Digest) -> Result<Option<Image>> {
        let image = list.part(entry).and_then(|part| part.image.as_ref());
        match image.filter(|image| self.blobs.has(image)) {
            Some(image) => self.load(image, entry, list.reference.clone()).map(Some),
            None => Ok(None),
        }
    }

    /// The lists of our own store that have this image, by id.
    ///
    /// # Errors
    /// When the records cannot be read, or one of them is damaged and may name it.
    pub fn lists_with(&self, image: &Digest) -> Result<Vec<Digest>> {
        if let Some(lost) = self.lost_lists()?.first() {
            return Err(Error::new(
                Kind::Storage,
                format!(
                    "the record of list {} cannot be read, and may need image {}",
                    lost.name,
                    image.short()
                ),
            )
            .hint("Repair the store: coracle system check --repair"));
        }
        let own = self.list_records()?.into_iter().filter(|(_, read_only)| !read_only);
        let with = own.filter(|(list, _)| list.parts.iter().any(|part| part.image.as_ref() == Some(image)));
        Ok(with.map(|(list, _)| list.id).collect())
    }

    /// All lists, as lines of a listing, newest first.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn lists(&self) -> Result<Vec<(List, Listed)>> {
        let records = self.list_records()?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let mut names: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
        for (found, _) in self.ref_records()? {
            if let Target::List { list } = found.target {
                names.entry(list).or_default().push(found.reference);
            }
        }
        let mut all = Vec::new();
        for (record, read_only) in records {
            let mut names = names.remove(&record.id).unwrap_or_default();
            names.sort();
            let id = record.id.clone();
            let (record, index) = match self.as_it_is(record) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(_) => {
                    let id = id.short();
                    warn_once(id, &format!("list {id} is damaged and left out; see: coracle system check"));
                    continue;
                }
            };
            all.push(listed(record, index, names, read_only));
        }
        all.sort_by(|(a, of_a), (b, of_b)| of_b.created.cmp(&of_a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(all)
    }

    /// All images and lists, newest first.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn list_with_lists(&self) -> Result<Vec<Listed>> {
        let mut all = self.list()?;
        all.extend(self.lists()?.into_iter().map(|(_, listed)| listed));
        all.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.image.id.cmp(&b.image.id)));
        Ok(all)
    }

    /// A list by its record in one of the stores, also if its index cannot be read.
    pub(super) fn load_list(&self, id: &Digest, reference: Option<Reference>) -> Result<Found> {
        for data in self.roots.readable() {
            if let Some(lists) = Place::find(&data.join(LISTS))?
                && let Some(record) = lists.read::<ListRecord>(id.hex())?
            {
                let kept = record.clone();
                let (record, index, lost) = match self.as_it_is(record) {
                    Ok(Some((record, index))) => (record, index, None),
                    Ok(None) => break,
                    Err(e) => (kept, Index::default(), Some(e.in_one_line())),
                };
                let ListRecord { id, index: ManifestRef { digest, .. }, parts, .. } = record;
                return Ok(Found::List(Box::new(List { id, reference, digest, index, parts, lost })));
            }
        }
        Err(Error::new(Kind::Storage, format!("the record of list {} is missing", id.short()))
            .hint("Repair the store: coracle system check --repair"))
    }

    fn own_list(&self, id: &Digest) -> Result<ListRecord> {
        let found = match self.own_lists()? {
            Some(lists) => lists.read::<ListRecord>(id.hex())?,
            None => None,
        };
        found.ok_or_else(|| {
            let elsewhere = self.list_records().is_ok_and(|all| all.iter().any(|(list, _)| list.id == *id));
            match elsewhere {
                true => read_only("list", id),
                false => Error::new(Kind::NotFound, format!("list {} is gone", id.short())),
            }
        })
    }

    /// A list and its index, although it may be changed while it is read; `None` once it is removed.
    pub(super) fn as_it_is(&self, mut record: ListRecord) -> Result<Option<(ListRecord, Index)>> {
        loop {
            let lost = match self.index_of(&record) {
                Ok(index) => return Ok(Some((record, index))),
                Err(lost) => lost,
            };
            let Some(lists) = self.own_lists()? else { return Err(lost) };
            match lists.read::<ListRecord>(record.id.hex())? {
                None => return Ok(None),
                Some(now) if now.index.digest == record.index.digest => return Err(lost),
                Some(now) => record = now,
            }
        }
    }

    /// The index of a list.
    fn index_of(&self, record: &ListRecord) -> Result<Index> {
        let lost = || {
            Error::new(Kind::Storage, format!("the index of list {} is missing", record.id.short()))
                .hint("Repair the store: coracle system check --repair")
        };
        let bytes = self.blobs.read(&record.index.digest)?.ok_or_else(lost)?;
        Index::parse(&format!("list {}", record.id.short()), &bytes)
    }

    /// Keeps an index, if it is one that can be read again.
    fn put_index(&self, index: &Index) -> Result<ManifestRef> {
        let bytes = index.bytes()?;
        if bytes.len() as u64 > SMALL_BLOB_MAX {
            let size = bytes.len();
            return Err(Error::new(
                Kind::Usage,
                format!("the manifest list would get too large: {size} bytes, and at most 4 MiB are read"),
            )
            .hint("Set fewer or shorter annotations: coracle manifest annotate --help"));
        }
        let digest = self.blobs.put(&bytes)?;
        Ok(ManifestRef { media_type: index.own_type().to_owned(), digest, size: bytes.len() as u64 })
    }

    /// An id that neither an image nor a list has.
    fn new_id(&self) -> Result<Digest> {
        let mut bytes = [0; 32];
        random::fill(&mut bytes)
            .map_err(|e| failed("choose an id in", &self.roots.data.join(LISTS), e.into()))?;
        let id = Digest::from_sha256(bytes);
        let is_free =
            [IMAGES, LISTS].iter().all(|kind| !self.own(kind).is_ok_and(|at| at.has_file(id.hex())));
        if is_free { Ok(id) } else { self.new_id() }
    }
}

/// The refusal of a change of what lies in a store that is only read.
pub(super) fn read_only(what: &str, id: &Digest) -> Error {
    Error::new(
        Kind::Storage,
        format!("{what} {} lies in an additional store, which is read-only", id.short()),
    )
}

/// A list as a line of a listing.
fn listed(record: ListRecord, index: Index, names: Vec<Reference>, read_only: bool) -> (List, Listed) {
    let ListRecord { id, index: manifest, parts, digests, remote, history, created, .. } = record;
    let created: DateTime<Utc> = created;
    let image = Brief {
        id: id.clone(),
        manifest: manifest.digest.clone(),
        layers: Vec::new(),
        os: String::new(),
        architecture: String::new(),
        labels: BTreeMap::new(),
        steps: 0,
    };
    let list =
        List { id, reference: names.first().cloned(), digest: manifest.digest, index, parts, lost: None };
    let (digests, remote) = known_digests(digests, remote);
    let listed = Listed {
        image,
        digests,
        remote,
        history: in_use_first(history, &names),
        names,
        created,
        size: manifest.size,
        shared: 0,
        read_only,
        is_list: true,
        has_children: false,
        lists: Vec::new(),
    };
    (list, listed)
}
