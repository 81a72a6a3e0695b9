//! Unpacked layers, named by chain id.
//!
//! Theory of operation. A [`LayerJob`] unpacks one layer into a directory of its own in `tmp/`, while its bytes
//! arrive and in parallel with other layers; it knows nothing about the layers below. [`Layers::commit`] then
//! goes up the stack once: directories that a layer only implied are completed from the layers below
//! (`unpack::finish`), everything is written back with one syncfs(2), and each directory is renamed to its
//! chain id. A layer that exists is therefore complete, verified and on disk.
//!
//! A step of a build has its layer made in place: the directory that it wrote to is renamed ([`Layers::adopt`]), and
//! synced later ([`Layers::settle`]).
//!
//! All of this runs inside the user namespace, where the kernel translates the owners in the archive.

mod compressed;
mod condense;
mod made;
mod settle;
mod stack;
mod unsynced;

#[cfg(test)]
mod made_tests;

pub use compressed::Compressed;
pub use made::{Adopt, Adopted};

use super::access_list::make_open_dir;
use super::lock::SharedLock;
use super::place::{self, Place, open_dir};
use super::record::{Durability, failed};
use super::roots::Roots;
use super::scratch::Scratch;
use super::unpack::finish::Lower;
use super::unpack::{self, Limits, Notes};
use super::{id_map, trash};
use crate::error::{Error, Kind, Result};
use crate::fork::{Doing, Step};
use crate::image::{ChainId, DiffId, Digest};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use unsynced::State;

/// The unpacked layers of a store, our own and those of additional read-only stores.
#[derive(Debug, Clone)]
pub struct Layers {
    roots: Arc<Roots>,
}

/// What is known of an unpacked layer; the content of `layer.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The record's form, 1.
    pub version: u32,
    /// The digest of its uncompressed archive.
    pub diff_id: DiffId,
    /// The layer below it.
    pub parent: Option<ChainId>,
    /// Bytes of file content in it.
    pub size: u64,
    /// Entries in its archive.
    pub entries: u64,
    /// Device nodes in its archive, which were not made.
    pub devices: u64,
    /// Extended attributes that were left out: overlay's own, or refused by the file system.
    pub xattrs_dropped: u64,
    /// Whether intended owners are in `owners`, because only one id could be mapped.
    pub owners: bool,
    /// Bytes of its uncompressed archive, if that can be packed from the tree again. There may be no blob of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<u64>,
}

/// One position in an image's stack of layers, for [`Layers::commit`].
#[derive(Debug)]
pub enum StackLayer {
    /// It is in a store already.
    Present(ChainId),
    /// It was unpacked just now.
    New(Unpacked),
}

/// Reads the records of layers, and keeps the directories open that they are in.
pub(super) struct Reader(Vec<Place>);

impl Reader {
    /// What was noted of a layer, whether or not it can be relied on.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is in no store.
    pub(super) fn record(&self, id: &ChainId) -> Result<LayerRecord> {
        let name = format!("{}/layer.json", id.0.hex());
        let found = self.0.iter().find_map(|place| place.read(&name).transpose());
        found.unwrap_or_else(|| Err(missing(id)))
    }
}

impl Layers {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Layers { roots }
    }

    /// Whether this layer is unpacked, here or in an additional store.
    pub fn has(&self, id: &ChainId) -> bool {
        self.home(id).is_ok()
    }

    /// The directory with the layer's tree, absolute.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is in no store.
    pub fn path(&self, id: &ChainId) -> Result<PathBuf> {
        let path = self.home(id)?.path().join("fs");
        // By its place alone: its top directory may be closed to us outside of the user namespace.
        match place::held(&path) {
            Ok(_) => Ok(path),
            Err(Errno::ENOENT) => Err(missing(id)),
            Err(e) => Err(failed("open", &path, e.into())),
        }
    }

    /// What is known of the layer.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is in no store.
    pub fn record(&self, id: &ChainId) -> Result<LayerRecord> {
        self.home(id)?.read("layer.json")?.ok_or_else(|| missing(id))
    }

    /// As [`Layers::record`], for one who reads many.
    ///
    /// # Errors
    /// When a directory of layers cannot be opened.
    pub(super) fn reader(&self) -> Result<Reader> {
        let places = self.roots.readable().map(|data| Place::find(&data.join("layers")));
        Ok(Reader(places.filter_map(Result::transpose).collect::<Result<_>>()?))
    }

    /// The directory of a layer, in the first store that has it.
    fn home(&self, id: &ChainId) -> Result<Place> {
        for (at, data) in self.roots.readable().enumerate() {
            if let Some(found) = Place::find(&data.join("layers").join(id.0.hex()))? {
                match unsynced::state(&found) {
                    State::Synced => return Ok(found),
                    // In another store it is not for us to sync.
                    State::Unsynced if at == 0 => return Ok(found),
                    _ => {}
                }
            }
        }
        Err(missing(id))
    }

    /// These layers, open.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when one is in no store.
    pub(super) fn lowers(&self, ids: &[ChainId]) -> Result<Vec<Lower>> {
        ids.iter().map(|id| Lower::open(self.home(id)?.path())).collect()
    }

    /// Starts unpacking a layer from `source`, which gives the compressed bytes from the first to the
    /// verified last, as [`super::blobs::BlobReader`] does. Starts two threads (rule 1: in a leaf).
    ///
    /// # Errors
    /// When the layer's type is not one we can read, or the file system refuses.
    pub fn begin(
        &self,
        diff_id: &DiffId,
        media_type: &str,
        source: impl Read + Send + 'static,
    ) -> Result<LayerJob> {
        self.begin_within(diff_id, media_type, source, Limits::default())
    }

    /// As [`Layers::begin`], with limits other than the default.
    ///
    /// # Errors
    /// As there.
    pub fn begin_within(
        &self,
        diff_id: &DiffId,
        media_type: &str,
        source: impl Read + Send + 'static,
        limits: Limits,
    ) -> Result<LayerJob> {
        if media_type.ends_with("+encrypted") {
            return Err(Error::new(Kind::Image, format!("layer {} is encrypted", diff_id.0.short())));
        }
        let temporary = Scratch::below(&self.roots.data)?;
        make_open_dir(temporary.home(), "fs")?;
        let diff_id = diff_id.clone();
        let (working, ended) = channel();
        let thread = std::thread::Builder::new().name("unpack".into()).spawn(move || {
            // Dropped at the end in any case, which wakes waiting processes.
            let _working: Sender<()> = working;
            let root = tree_of(&temporary)?;
            let notes = unpack::run(&root, source, &diff_id, limits).map_err(|e| {
                Error::new(e.kind(), format!("unpack layer {}", diff_id.0.short())).caused_by(e)
            })?;
            Ok(Unpacked { temporary, diff_id, notes })
        });
        let thread = thread.doing(Step::Start, "a thread")?;
        Ok(LayerJob { thread, ended })
    }

    /// Completes a stack of layers, bottom first, and makes the new ones visible. The lock keeps what is
    /// present from being collected until the image is recorded.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when a layer that was present was removed in the meantime: pull again.
    pub fn commit(&self, _lock: &SharedLock, stack: Vec<StackLayer>) -> Result<Vec<ChainId>> {
        raise_file_limit();
        let mut chain: Vec<ChainId> = Vec::with_capacity(stack.len());
        let mut below: Vec<Lower> = Vec::with_capacity(stack.len());
        let mut new = Vec::new();
        for layer in stack {
            match layer {
                StackLayer::Present(id) => {
                    below.push(Lower::open(self.home(&id)?.path())?);
                    chain.push(id);
                }
                StackLayer::New(mut unpacked) => {
                    let parent = chain.last().cloned();
                    let id = ChainId::above(parent.as_ref(), &unpacked.diff_id);
                    unpack::finish::complete(&tree_of(&unpacked.temporary)?, &mut unpacked.notes, &below)?;
                    unpacked.describe(parent)?;
                    below.push(Lower::open(unpacked.temporary.home().path())?);
                    chain.push(id.clone());
                    new.push((id, unpacked));
                }
            }
        }
        if !new.is_empty() {
            let layers = self.own()?;
            nix::unistd::syncfs(&layers).map_err(|e| failed("sync", layers.path(), e.into()))?;
            crate::failpoint::reach("layer.synced");
        }
        let published = !new.is_empty();
        for (id, unpacked) in new {
            self.publish(&id, unpacked.temporary)?;
            crate::failpoint::reach("layer.placed");
        }
        if published {
            self.own()?.sync()?;
        }
        Ok(chain)
    }

    fn publish(&self, id: &ChainId, made: Scratch) -> Result<()> {
        let layers = self.own()?;
        self.discard_torn(&layers, id)?;
        match made.place(&layers, id.0.hex()) {
            Ok(()) => Ok(()),
            // Another pull was first; its layer is the same, and ours goes with its temporary directory.
            Err(Errno::EEXIST | Errno::ENOTEMPTY) => Ok(()),
            Err(e) => Err(failed("create", &layers.path().join(id.0.hex()), e.into())),
        }
    }

    /// Makes room for a layer where a torn one is.
    fn discard_torn(&self, layers: &Place, id: &ChainId) -> Result<()> {
        let Some(there) = layers.below(id.0.hex())? else { return Ok(()) };
        if unsynced::state(&there) != State::Torn {
            return Ok(());
        }
        let fail = |e| failed("lock", there.path(), e);
        // Of two who replace it, the second must not take the first one's layer for it.
        let lock = there.as_fd().try_clone_to_owned().map(File::from).map_err(fail)?;
        lock.lock().map_err(fail)?;
        let torn = fstat(&there).map_err(|e| failed("look at", there.path(), e.into()))?;
        if layers.look(id.0.hex())?.is_some_and(|found| found.st_ino == torn.st_ino) {
            trash::discard(&self.roots.data, layers, id.0.hex())?;
            crate::failpoint::reach("layer.replaced");
        }
        Ok(())
    }

    /// Where our own layers are.
    fn own(&self) -> Result<Place> {
        Place::open(&self.roots.data.join("layers"))
    }

    /// The layers in our own store.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<ChainId>> {
        Ok(self
            .own()?
            .names()?
            .into_iter()
            .filter_map(|n| format!("sha256:{n}").parse::<Digest>().ok().map(ChainId))
            .collect())
    }

    /// Moves our own layers that are not in `used` to the trash, and torn ones. Those that may be about to be named
    /// stay: `may_go` says of a layer, and of how long it has been there, whether it is none of them. The caller holds
    /// the exclusive lock.
    pub(super) fn discard_unused(
        &self,
        used: &HashSet<ChainId>,
        may_go: impl Fn(&ChainId, Duration) -> bool,
    ) -> Result<Vec<ChainId>> {
        let layers = self.own()?;
        let mut gone = Vec::new();
        for id in self.list()? {
            let torn =
                layers.below(id.0.hex()).is_ok_and(|l| l.is_some_and(|l| unsynced::state(&l) == State::Torn));
            if !torn && (used.contains(&id) || !may_go(&id, age(&layers, id.0.hex())?)) {
                continue;
            }
            trash::discard(&self.roots.data, &layers, id.0.hex())?;
            crate::failpoint::reach("layer.discarded");
            gone.push(id);
        }
        if self.list()?.is_empty() {
            id_map::forget(&self.roots)?;
        }
        Ok(gone)
    }
}

/// How long something has been there; nothing if the clock was put back.
fn age(place: &Place, name: &str) -> Result<Duration> {
    let made = place.look(name)?.map(|found| Duration::from_secs(found.st_mtime.unsigned_abs()));
    let made = made.map(|since| SystemTime::UNIX_EPOCH + since);
    Ok(made.and_then(|made| made.elapsed().ok()).unwrap_or_default())
}

/// A tall stack is held open at every level of a path. Without the right to more descriptors the usual
/// ones may do; if not, the failure says so.
fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn missing(id: &ChainId) -> Error {
    Error::new(Kind::NotFound, format!("layer {} is not in the store", id.0.short())).hint(
        "The image is incomplete. Fetch it again: coracle pull IMAGE; or build it again: coracle build DIR",
    )
}

/// A layer being unpacked by threads of its own.
#[derive(Debug)]
pub struct LayerJob {
    thread: JoinHandle<Result<Unpacked>>,
    ended: Receiver<()>,
}

impl LayerJob {
    /// Waits at most that long for its end; whether it has ended, well or not.
    pub fn ends_within(&self, time: Duration) -> bool {
        self.ended.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`Kind::Image`] when the archive is malformed, too large or not the one its diff id names;
    /// [`Kind::Storage`] when the file system refuses. Nothing of it is kept then.
    pub fn join(self) -> Result<Unpacked> {
        self.thread.join().unwrap_or_else(|_| Err(Error::new(Kind::Storage, "the unpacking thread died")))
    }
}

/// A layer that is unpacked and verified, not yet part of a stack. Dropped, it is deleted.
#[derive(Debug)]
pub struct Unpacked {
    temporary: Scratch,
    diff_id: DiffId,
    notes: Notes,
}

impl Unpacked {
    #[cfg(test)]
    pub(super) fn notes_for_test(&self) -> &Notes {
        &self.notes
    }

    fn describe(&self, parent: Option<ChainId>) -> Result<()> {
        let home = self.temporary.home();
        let owners = self.notes.owners.records();
        if let Some(owners) = owners {
            home.replace_bytes("owners", owners, Durability::Volatile)?;
        }
        let record = LayerRecord {
            version: 1,
            diff_id: self.diff_id.clone(),
            parent,
            size: self.notes.size,
            entries: self.notes.entries,
            devices: self.notes.devices,
            xattrs_dropped: self.notes.xattrs_dropped,
            owners: owners.is_some(),
            archive: None,
        };
        home.replace("layer.json", &record, Durability::Volatile)
    }
}

/// The tree of a layer that is being made.
fn tree_of(scratch: &Scratch) -> Result<OwnedFd> {
    open_dir(&scratch.home().path().join("fs"))
}
