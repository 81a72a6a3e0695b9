//! Unpacked layers, named by chain id.
//!
//! Theory of operation. A [`LayerJob`] unpacks one layer into a directory of its own in `tmp/`, while
//! its bytes arrive and beside other layers; it knows nothing of what lies below. [`Layers::commit`]
//! then goes up the stack once: what a layer only implied is completed from the layers below
//! (`unpack::finish`), everything is written back with one syncfs(2), and each directory is renamed to
//! its chain id. A layer that is present is therefore complete, verified and on the disk.
//!
//! All of this runs inside the user namespace, where the kernel translates the owners in the archive.

use super::record::{self, Durability, failed};
use super::unpack::{self, Limits, Notes};
use super::{Roots, SharedLock, access_list, id_map, trash};
use crate::error::{Error, Kind, Result};
use crate::image::{ChainId, DiffId, Digest};
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

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
    /// Whether intended owners stand in `owners`, because only one id could be mapped.
    pub owners: bool,
}

/// One position in an image's stack of layers, for [`Layers::commit`].
#[derive(Debug)]
pub enum StackLayer {
    /// It is in a store already.
    Present(ChainId),
    /// It was unpacked just now.
    New(Unpacked),
}

impl Layers {
    pub(super) fn new(roots: Arc<Roots>) -> Self {
        Layers { roots }
    }

    /// Whether this layer is unpacked, here or in an additional store.
    pub fn has(&self, id: &ChainId) -> bool {
        self.find(id).is_some()
    }

    /// The directory with the layer's tree, absolute.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is in no store.
    pub fn path(&self, id: &ChainId) -> Result<PathBuf> {
        Ok(self.home(id)?.join("fs"))
    }

    /// What is known of the layer.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is in no store.
    pub fn record(&self, id: &ChainId) -> Result<LayerRecord> {
        let path = self.home(id)?.join("layer.json");
        record::read(&path)?.ok_or_else(|| missing(id))
    }

    fn find(&self, id: &ChainId) -> Option<PathBuf> {
        self.roots.readable().map(|data| data.join("layers").join(id.0.hex())).find(|p| p.is_dir())
    }

    fn home(&self, id: &ChainId) -> Result<PathBuf> {
        self.find(id).ok_or_else(|| missing(id))
    }

    /// Starts unpacking a layer from `source`, which gives the compressed bytes from the first to the
    /// verified last, as [`super::blobs::BlobReader`] does. Starts two threads (law 1: in a leaf).
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
        let temporary = TempDir::new(&self.roots.data)?;
        let diff_id = diff_id.clone();
        let (working, ended) = channel();
        let thread = std::thread::Builder::new().name("unpack".into()).spawn(move || {
            // Dropped at the end, whatever that is: it wakes whoever waits.
            let _working: Sender<()> = working;
            let root = temporary.root()?;
            let notes = unpack::run(&root, source, &diff_id, limits).map_err(|e| {
                Error::new(e.kind(), format!("unpack layer {}", diff_id.0.short())).caused_by(e)
            })?;
            Ok(Unpacked { temporary, diff_id, notes })
        });
        let thread = thread.map_err(|e| Error::new(Kind::Host, "start a thread").caused_by(e))?;
        Ok(LayerJob { thread, ended })
    }

    /// Completes a stack of layers, bottom first, and makes the new ones visible. The lock keeps what is
    /// present from being collected until the image is recorded.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when a layer that was present has been removed meanwhile: pull again.
    pub fn commit(&self, _lock: &SharedLock, stack: Vec<StackLayer>) -> Result<Vec<ChainId>> {
        raise_file_limit();
        let mut chain: Vec<ChainId> = Vec::with_capacity(stack.len());
        let mut below: Vec<unpack::finish::Lower> = Vec::with_capacity(stack.len());
        let mut new = Vec::new();
        for layer in stack {
            match layer {
                StackLayer::Present(id) => {
                    below.push(unpack::finish::Lower::open(&self.home(&id)?)?);
                    chain.push(id);
                }
                StackLayer::New(mut unpacked) => {
                    let parent = chain.last().cloned();
                    let id = ChainId::above(parent.as_ref(), &unpacked.diff_id);
                    unpack::finish::complete(&unpacked.temporary.root()?, &mut unpacked.notes, &below)?;
                    unpacked.describe(parent)?;
                    below.push(unpack::finish::Lower::open(&unpacked.temporary.path)?);
                    chain.push(id.clone());
                    new.push((id, unpacked));
                }
            }
        }
        if !new.is_empty() {
            let layers = self.roots.data.join("layers");
            let dir = File::open(&layers).map_err(|e| failed("open", &layers, e))?;
            nix::unistd::syncfs(&dir).map_err(|e| failed("sync", &layers, e.into()))?;
        }
        let published = !new.is_empty();
        for (id, unpacked) in new {
            self.publish(&id, unpacked)?;
        }
        if published {
            record::sync_dir(&self.roots.data.join("layers"))?;
        }
        Ok(chain)
    }

    fn publish(&self, id: &ChainId, mut unpacked: Unpacked) -> Result<()> {
        let target = self.roots.data.join("layers").join(id.0.hex());
        match fs::rename(&unpacked.temporary.path, &target) {
            Ok(()) => {
                unpacked.temporary.keep = true;
                Ok(())
            }
            // Another pull was first; its layer is the same, and ours goes with its temporary directory.
            Err(e) if matches!(e.raw_os_error(), Some(nix::libc::EEXIST | nix::libc::ENOTEMPTY)) => Ok(()),
            Err(e) => Err(failed("create", &target, e)),
        }
    }

    /// The layers in our own store.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<ChainId>> {
        let dir = self.roots.data.join("layers");
        let entries = fs::read_dir(&dir).map_err(|e| failed("read", &dir, e))?;
        let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
        Ok(names.filter_map(|n| format!("sha256:{n}").parse::<Digest>().ok().map(ChainId)).collect())
    }

    /// Moves our own layers that are not in `used` to the trash. The caller holds the exclusive lock.
    pub(super) fn discard_unused(&self, used: &HashSet<ChainId>) -> Result<Vec<ChainId>> {
        let mut gone = Vec::new();
        for id in self.list()?.into_iter().filter(|id| !used.contains(id)) {
            let path = self.roots.data.join("layers").join(id.0.hex());
            trash::discard(&self.roots.data, &path)?;
            gone.push(id);
        }
        if self.list()?.is_empty() {
            id_map::forget(&self.roots)?;
        }
        Ok(gone)
    }
}

/// A tall stack is held open at every level of a path. Without the right to more descriptors the usual
/// ones may do; if not, the failure says so.
fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn missing(id: &ChainId) -> Error {
    Error::new(Kind::NotFound, format!("layer {} is not in the store", id.0.short()))
        .hint("The image is incomplete. Fetch it again: coracle pull IMAGE")
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
    temporary: TempDir,
    diff_id: DiffId,
    notes: Notes,
}

impl Unpacked {
    #[cfg(test)]
    pub(super) fn notes_for_test(&self) -> &Notes {
        &self.notes
    }

    fn describe(&self, parent: Option<ChainId>) -> Result<()> {
        let owners = self.notes.owners.write(&self.temporary.path.join("owners"))?;
        let record = LayerRecord {
            version: 1,
            diff_id: self.diff_id.clone(),
            parent,
            size: self.notes.size,
            entries: self.notes.entries,
            devices: self.notes.devices,
            xattrs_dropped: self.notes.xattrs_dropped,
            owners,
        };
        record::replace(&self.temporary.path.join("layer.json"), &record, Durability::Volatile)
    }
}

/// A directory in `tmp/`, with `fs/` in it; deleted on drop unless kept. The lock on it tells a
/// clean-up that somebody is at work here.
#[derive(Debug)]
struct TempDir {
    path: PathBuf,
    keep: bool,
    _lock: File,
}

impl TempDir {
    fn new(data: &Path) -> Result<Self> {
        let path = data.join("tmp").join(record::unique());
        DirBuilder::new().mode(0o700).create(&path).map_err(|e| failed("create", &path, e))?;
        let lock = File::open(&path).and_then(|file| file.lock_shared().map(|()| file));
        let lock = lock.map_err(|e| failed("lock", &path, e))?;
        let fs = path.join("fs");
        make_open_dir(&fs)?;
        Ok(TempDir { path, keep: false, _lock: lock })
    }

    fn root(&self) -> Result<OwnedFd> {
        open_dir(&self.path.join("fs"))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if !self.keep {
            // What stays behind is unlocked now, and the next clean-up takes it.
            let _ = trash::remove_path(&self.path);
        }
    }
}

/// Makes a directory that is [open to all](access_list::open_to_all).
pub(super) fn make_open_dir(path: &Path) -> Result<()> {
    let fail = |e| failed("create", path, e);
    DirBuilder::new().mode(0o755).create(path).map_err(fail)?;
    access_list::open_to_all(open_dir(path)?.as_fd()).map_err(|e| fail(e.into()))
}

/// Opens one of the store's own directories.
pub(super) fn open_dir(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, Mode::empty()).map_err(|e| failed("open", path, e.into()))
}
