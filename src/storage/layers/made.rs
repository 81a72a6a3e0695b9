//! Layers that are made in place: a directory that a step of a build has written to becomes one by renaming it.
//!
//! Theory of operation. The directory is an overlay's upper one, which has the format of our layers already. Its diff
//! id is that of the archive that [`pack`](crate::storage::pack) would make of it; the archive is hashed and kept
//! nowhere, as it can be packed again at any time: the same tree always gives the same bytes.

use super::unsynced;
use super::{LayerRecord, Layers, missing};
use crate::container::ids::IdMaps;
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::image::{ChainId, DiffId, Digest};
use crate::storage::access_list::make_open_dir;
use crate::storage::lock::{self, SharedLock};
use crate::storage::pack::{Options, Packed};
use crate::storage::place::Place;
use crate::storage::record::{Durability, failed};
use crate::storage::scratch::Scratch;
use crate::storage::trash::remove_in;
use crate::storage::tree;
use crate::storage::upper::{Times, Upper};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{Gid, Uid, fchown};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// The tree of a layer, in its directory.
const TREE: &str = "fs";

/// How a tree becomes a layer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adopt<'a> {
    /// Paths that did not exist before and were made to be mounted on. They are removed if they are empty.
    pub made: &'a [Vec<u8>],
    /// A container ran on it: the files that are made for the tool's own to be mounted on are removed, too.
    pub ran: bool,
    /// The time that files get whose own is later, in seconds since 1970.
    pub latest: Option<i64>,
    /// The time that all files get, in seconds since 1970.
    pub all: Option<i64>,
}

/// A layer that was made in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Its name in the store.
    pub chain: ChainId,
    /// The digest of its uncompressed archive.
    pub diff_id: DiffId,
    /// Bytes of that.
    pub archive: u64,
}

impl Layers {
    /// A directory for a layer that is made in place on top of others, with `fs`, `work` and `merged`: the upper
    /// directory of an overlay, which has mode and owner of the topmost layer's, its scratch directory, and a place to
    /// mount it on. Dropped, it is deleted.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the topmost layer is in no store; when the file system refuses.
    pub fn workshop(&self, below: &[ChainId]) -> Result<Scratch> {
        let scratch = Scratch::below(&self.roots.data)?;
        let tree = make_open_dir(scratch.home(), TREE)?;
        if let Some(top) =
            self.lowers(below.get(below.len().saturating_sub(1)..).unwrap_or_default())?.first()
        {
            show_as(tree.as_fd(), top.root.as_fd()).map_err(|e| failed("prepare", tree.path(), e.into()))?;
        }
        scratch.home().new_below("work")?;
        scratch.home().new_below("merged")?;
        Ok(scratch)
    }

    /// Has the workshop's tree be another directory of the store: the upper directory of a container that has ended.
    ///
    /// # Errors
    /// When it is not there or the file system refuses.
    pub fn bring(&self, workshop: &Scratch, upper: &Path) -> Result<()> {
        let (Some(parent), Some(name)) = (upper.parent(), upper.file_name().and_then(|name| name.to_str()))
        else {
            return Err(Error::new(
                Kind::Storage,
                format!("{} is no directory of the store", upper.display()),
            ));
        };
        let parent = Place::open(parent)?;
        remove_in(workshop.home(), TREE)?;
        parent.rename(name, workshop.home(), TREE).map_err(|e| failed("move", upper, e.into()))
    }

    /// Makes a layer of a [workshop](Layers::workshop)'s tree on top of those `below`, which are bottom first; `None`
    /// when nothing was changed. Nothing may be mounted there any more. The caller is in the user namespace, whose ids
    /// the files have (where it has one id, all is root's, as the step saw it), and holds the lock of
    /// [`making`](crate::storage::Store::making), as nothing names the layer.
    ///
    /// It is whole as long as the machine runs; [`Layers::settle`] has it survive a power cut. `keep` is called with its
    /// name just before it is there, while nothing is collected: what it says must not be removed is not removed, even
    /// if another result with the same layer goes right then.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when a layer below is not there; when a file cannot be read, the file system refuses, or
    /// `keep` fails.
    pub fn adopt(
        &self,
        workshop: Scratch,
        below: &[ChainId],
        how: &Adopt<'_>,
        keep: impl FnOnce(&SharedLock, &ChainId) -> Result<()>,
    ) -> Result<Option<Adopted>> {
        super::raise_file_limit();
        let home = workshop.home();
        for name in home.names()?.iter().filter(|name| *name != TREE) {
            remove_in(home, name.as_str())?;
        }
        let upper = Upper::open(&home.path().join(TREE), self.lowers(below)?)?;
        upper.remove_stubs(how.made, how.ran)?;
        match (how.all, how.latest) {
            (Some(time), _) => upper.set_times(Times::All(time))?,
            (None, Some(time)) => upper.set_times(Times::Latest(time))?,
            (None, None) => {}
        }
        let Some((diff_id, archive, packed)) = hash(&upper)? else { return Ok(None) };
        failpoint::reach("adopt.hashed");
        drop(upper);
        let chain = ChainId::above(below.last(), &diff_id);
        let record = LayerRecord {
            version: 1,
            diff_id: diff_id.clone(),
            parent: below.last().cloned(),
            size: packed.bytes,
            entries: packed.entries,
            devices: 0,
            xattrs_dropped: 0,
            owners: false,
            archive: Some(archive),
        };
        home.replace("layer.json", &record, Durability::Volatile)?;
        unsynced::mark(home)?;
        failpoint::reach("adopt.marked");
        // Garbage collection waits, and what was below before still is.
        let lock = lock::shared(&self.roots.data)?;
        if let Some(lost) = below.iter().find(|id| !self.has(id)) {
            return Err(missing(lost));
        }
        keep(&lock, &chain)?;
        self.publish(&chain, workshop)?;
        failpoint::reach("adopt.placed");
        self.note_archive(&chain, archive)?;
        Ok(Some(Adopted { chain, diff_id, archive }))
    }

    /// A layer that is there, as [`Layers::adopt`] gave it; `None` when its archive cannot be packed of its tree.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is in no store.
    pub fn adopted(&self, chain: &ChainId) -> Result<Option<Adopted>> {
        let LayerRecord { diff_id, archive, .. } = self.record(chain)?;
        Ok(archive.map(|archive| Adopted { chain: chain.clone(), diff_id, archive }))
    }

    /// Packs the archive of a layer that was made in place; gives back the output. The caller is in the user namespace.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it, or a layer below, is in no store; when a file cannot be read or the output takes no
    /// more.
    pub fn pack<W: Write>(&self, layer: &ChainId, out: W) -> Result<W> {
        super::raise_file_limit();
        let mut below = self.stack(layer)?;
        below.pop();
        let upper = Upper::open(&self.path(layer)?, self.lowers(&below)?)?;
        let empty = || Error::new(Kind::Storage, format!("layer {} has lost its files", layer.0.short()));
        Ok(upper.pack(out, &IdMaps::default(), Options::default())?.ok_or_else(empty)?.0)
    }

    /// Whether the tree of a layer that was made in place is what it was; reads all of it. The caller is in the user
    /// namespace.
    ///
    /// # Errors
    /// As [`Layers::pack`].
    pub fn is_true(&self, layer: &ChainId) -> Result<bool> {
        let Hashing { hash, .. } = self.pack(layer, Hashing { hash: Sha256::new(), size: 0 })?;
        Ok(Digest::from_sha256(hash.finalize().into()) == self.record(layer)?.diff_id.0)
    }

    /// Notes of a layer that was unpacked, as one that was pulled, that its archive can be packed again: nothing of it is
    /// missing, and the caller has seen that it [is true](Layers::is_true).
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is in no store; when the file system refuses.
    pub(in crate::storage) fn note_archive(&self, id: &ChainId, archive: u64) -> Result<()> {
        let record = self.record(id)?;
        let incomplete = record.owners || record.devices + record.xattrs_dropped > 0;
        if record.archive.is_some() || incomplete {
            return Ok(());
        }
        match self.own()?.below(id.0.hex())? {
            // An image may name it.
            Some(home) => home.replace(
                "layer.json",
                &LayerRecord { archive: Some(archive), ..record },
                Durability::Synced,
            ),
            None => Ok(()),
        }
    }
}

/// Gives a directory mode and owner of another one.
fn show_as(dir: BorrowedFd<'_>, other: BorrowedFd<'_>) -> nix::Result<()> {
    let wanted = fstat(other)?;
    // An owner that does not exist here stays ours.
    let _ = fchown(dir, Some(Uid::from_raw(wanted.st_uid)), Some(Gid::from_raw(wanted.st_gid)));
    fchmod(dir, Mode::from_bits_truncate(wanted.st_mode & 0o7777))
}

/// The diff id of a tree, the size of its archive and what is in it. What an archive cannot hold is removed.
fn hash(upper: &Upper) -> Result<Option<(DiffId, u64, Packed)>> {
    loop {
        // An image names it soon, and waits until it is on the disk.
        let options = Options { settling: true, ..Options::default() };
        let packed = upper.pack(Hashing { hash: Sha256::new(), size: 0 }, &IdMaps::default(), options)?;
        let left_out = |packed: &Packed| packed.sockets + packed.reserved > 0;
        match packed {
            Some((_, packed)) if left_out(&packed) => upper.tidy()?,
            Some((Hashing { hash, size }, packed)) => {
                let digest = Digest::from_sha256(hash.finalize().into());
                return Ok(Some((DiffId(digest), size, packed)));
            }
            // Nothing but what an archive cannot hold.
            None if !tree::names(upper.top()).is_ok_and(|names| names.is_empty()) => upper.tidy()?,
            None => return Ok(None),
        }
    }
}

/// An output that is hashed and counted only.
struct Hashing {
    hash: Sha256,
    size: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
