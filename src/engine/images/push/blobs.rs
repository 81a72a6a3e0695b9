//! The blobs of an image, as a registry is given them.

use crate::error::Result;
use crate::image::Digest;
use crate::registry::{Blob, BlobSource};
use crate::storage::Store;
use crate::storage::archive::{LayerBytes, OutgoingLayer};
use crate::storage::compress::{CompressedArchive, Pool};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// What the blobs of a push have in common.
pub(in crate::engine) struct Sending<'a> {
    pub(in crate::engine) store: &'a Store,
    /// The registry, and the path of the repository there.
    pub(in crate::engine) registry: String,
    pub(in crate::engine) repository: String,
    /// What compresses layers, once one has to be.
    pool: OnceCell<Arc<Pool>>,
    /// Where else in the registry blobs may be, once that matters.
    elsewhere: OnceCell<HashMap<Digest, Vec<String>>>,
}

impl<'a> Sending<'a> {
    pub(in crate::engine) fn new(store: &'a Store, registry: &str, repository: &str) -> Sending<'a> {
        Sending {
            store,
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            pool: OnceCell::new(),
            elsewhere: OnceCell::new(),
        }
    }

    fn pool(&self) -> Result<Arc<Pool>> {
        if let Some(made) = self.pool.get() {
            return Ok(made.clone());
        }
        let made = Arc::new(Pool::new()?);
        Ok(self.pool.get_or_init(|| made).clone())
    }

    /// Paths of other repositories of the registry that may have a blob.
    fn elsewhere(&self, digest: &Digest) -> Vec<String> {
        let all = self.elsewhere.get_or_init(|| {
            self.store.images().repositories(&self.registry).unwrap_or_else(|e| {
                log::info!("no blobs are mounted: {}", e.in_one_line());
                HashMap::new()
            })
        });
        let known = all.get(digest).into_iter().flatten();
        known.filter(|path| **path != self.repository).cloned().collect()
    }
}

/// A layer.
pub(in crate::engine) struct LayerBlob<'a> {
    pub(in crate::engine) sending: &'a Sending<'a>,
    pub(in crate::engine) layer: &'a OutgoingLayer,
}

impl Blob for LayerBlob<'_> {
    fn known(&self) -> Option<(Digest, u64)> {
        self.layer.known.clone()
    }

    fn elsewhere(&self) -> Vec<String> {
        self.layer.known.as_ref().map(|(digest, _)| self.sending.elsewhere(digest)).unwrap_or_default()
    }

    fn source(&self) -> Result<Arc<dyn BlobSource>> {
        Ok(match self.layer.bytes(self.sending.store, || self.sending.pool())? {
            LayerBytes::Stored(file) => {
                Arc::new(Stored { file, digest: self.layer.digest().clone(), size: self.layer.size() })
            }
            LayerBytes::Compressed(archive) => Arc::new(Growing(archive)),
        })
    }
}

/// A small blob.
pub(in crate::engine) struct Small<'a>(pub(in crate::engine) &'a [u8]);

impl Blob for Small<'_> {
    fn known(&self) -> Option<(Digest, u64)> {
        Some((Digest::sha256_of(self.0), self.0.len() as u64))
    }

    fn elsewhere(&self) -> Vec<String> {
        Vec::new()
    }

    fn source(&self) -> Result<Arc<dyn BlobSource>> {
        Ok(Arc::new(InMemory(self.0.to_vec())))
    }
}

/// A blob of the store.
struct Stored {
    file: File,
    digest: Digest,
    size: u64,
}

impl BlobSource for Stored {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        // Not more than was promised, whatever became of the file.
        let room = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        match self.file.read_at(&mut buffer[..room], offset)? {
            0 if room > 0 => Err(io::Error::other(format!("blob {} is shorter than it was", self.digest))),
            count => Ok(count),
        }
    }

    fn length(&self) -> Option<u64> {
        Some(self.size)
    }

    fn finish(&self) -> Result<(Digest, u64)> {
        Ok((self.digest.clone(), self.size))
    }

    fn give_up(&self) {}
}

/// A layer that is being compressed.
struct Growing(Arc<CompressedArchive>);

impl BlobSource for Growing {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn length(&self) -> Option<u64> {
        self.0.length()
    }

    fn finish(&self) -> Result<(Digest, u64)> {
        self.0.finish()
    }

    fn give_up(&self) {
        self.0.give_up();
    }
}

/// A blob that is made here.
struct InMemory(Vec<u8>);

impl BlobSource for InMemory {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn length(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    fn finish(&self) -> Result<(Digest, u64)> {
        Ok((Digest::sha256_of(&self.0), self.0.len() as u64))
    }

    fn give_up(&self) {}
}
