//! The archive of a layer: its blob, or packed from its tree.
//!
//! Theory of operation. A layer that was made in place has no blob. What its diff id names is packed from its tree
//! when somebody asks for it, by a thread of its own, as the packer writes and those who ask read. Either is verified
//! on the way: at the end of what is not what its digest says there is a failure.

use crate::error::{Context, Error, Kind, Result};
use crate::fork::{Doing, Step};
use crate::image::{ChainId, Digest};
use crate::storage::Store;
use crate::storage::blobs::Hasher;
use crate::storage::layers::Layers;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Buffers on the way from the packer to the reader.
const QUEUE: usize = 4;

/// A layer's archive, read from the first byte to the verified last.
pub struct LayerArchive {
    bytes: Bytes,
    size: u64,
    hash: Option<Hasher>,
    digest: Digest,
}

enum Bytes {
    Blob(File),
    Packed(Packed),
}

impl LayerArchive {
    /// The archive that has this digest, of a layer that an image has at this place. One that has no blob is packed
    /// by a thread (rule 1: in a leaf), inside the user namespace. `None` when it is not to be had.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn open(store: &Store, digest: &Digest, layer: Option<&ChainId>) -> Result<Option<LayerArchive>> {
        let opened = |bytes, size| {
            Some(LayerArchive { bytes, size, hash: Some(Hasher::new(digest)), digest: digest.clone() })
        };
        if let Some(file) = store.blobs().open(digest)? {
            let size = file.metadata().context(Kind::Storage, || format!("look at blob {digest}"))?.len();
            return Ok(opened(Bytes::Blob(file), size));
        }
        match layer.and_then(|layer| packable(store, digest, layer)) {
            Some((layer, size)) => Ok(opened(Bytes::Packed(Packed::start(store.layers(), layer)?), size)),
            None => Ok(None),
        }
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for LayerArchive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.bytes {
            Bytes::Blob(file) => file.read(buffer)?,
            Bytes::Packed(packed) => packed.read(buffer)?,
        };
        if count > 0 {
            if let Some(hash) = &mut self.hash {
                hash.update(&buffer[..count]);
            }
        } else if let Some(hash) = self.hash.take_if(|_| !buffer.is_empty())
            && hash.finish() != self.digest
        {
            return Err(match self.bytes {
                Bytes::Blob(_) => io::Error::other(format!("blob {} is damaged on disk", self.digest)),
                Bytes::Packed(_) => io::Error::other(changed(&self.digest)),
            });
        }
        Ok(count)
    }
}

/// What is to be said of a tree that is not what it was.
fn changed(digest: &Digest) -> Error {
    Error::new(Kind::Storage, format!("the files of layer {} were changed since it was made", digest.short()))
        .hint("Nothing else has them. Remove the damage: coracle system check --repair; and build the image again.")
}

/// Whether an archive that has no blob can be packed from a layer's tree; the layer, and how many bytes that gives.
fn packable<'a>(store: &Store, digest: &Digest, layer: &'a ChainId) -> Option<(&'a ChainId, u64)> {
    let adopted = store.layers().adopted(layer).ok().flatten()?;
    (adopted.diff_id.0 == *digest).then_some((layer, adopted.archive))
}

/// Whether this archive can be had only by packing it.
pub(super) fn is_packed(store: &Store, digest: &Digest, layer: &ChainId) -> bool {
    !store.blobs().has(digest) && packable(store, digest, layer).is_some()
}

/// An archive that is being packed.
struct Packed {
    pieces: Option<Receiver<Vec<u8>>>,
    thread: Option<JoinHandle<Result<()>>>,
    current: Vec<u8>,
    position: usize,
}

impl Packed {
    fn start(layers: &Layers, layer: &ChainId) -> Result<Packed> {
        let (send, pieces) = sync_channel(QUEUE);
        let (layers, layer) = (layers.clone(), layer.clone());
        let thread = std::thread::Builder::new().name("pack".into()).spawn(move || {
            layers.pack(&layer, Pieces(send))?;
            Ok(())
        });
        let thread = thread.doing(Step::Start, "a thread")?;
        Ok(Packed { pieces: Some(pieces), thread: Some(thread), current: Vec::new(), position: 0 })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.current.len() {
            match self.pieces.as_ref().and_then(|pieces| pieces.recv().ok()) {
                Some(piece) => (self.current, self.position) = (piece, 0),
                None => return self.end().map(|()| 0).map_err(io::Error::other),
            }
        }
        let rest = &self.current[self.position..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Ok(count)
    }

    /// Waits for the packer; without a reader it soon ends.
    fn end(&mut self) -> Result<()> {
        self.pieces = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| Err(Error::new(Kind::Storage, "the packing thread died")))
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        // The reader has a failure of its own to tell of, or has all it wanted.
        let _ = self.end();
    }
}

/// The packer's end of the queue.
struct Pieces(SyncSender<Vec<u8>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.send(bytes.to_vec()).map(|()| bytes.len()).map_err(gone)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
