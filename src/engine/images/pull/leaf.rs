//! The process that pulls: it downloads blobs from the registry and unpacks them into layers.
//!
//! Theory of operation. The leaf enters the user namespace while it is single-threaded, then downloads. A
//! layer's bytes are appended to its blob, and the unpacker follows that file as it grows, so both finish soon
//! after the last byte has arrived. Once all layers are unpacked, they are completed, synced once and made
//! visible together; the image is recorded last. If it is told to stop, the leaf still makes the finished
//! layers at the bottom visible, and the next pull continues from them and from the blobs. Nothing is kept of
//! an image that is refused because of its contents.
//!
//! The blob of a layer that is already unpacked may be missing, if another image has the layer with a different
//! compression. It is then downloaded anyway, because `save` and `push` must reproduce an image byte for byte.

use super::message::Message;
use crate::engine::images::enter;
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::fork::{self, Reporter, StopSignals};
use crate::image::{ChainId, Digest, Reference};
use crate::registry::policy::Signatures;
use crate::registry::{self, Fetched, LayerSink, LayerSource, Prepared, Target};
use crate::storage::Store;
use crate::storage::blobs::BlobWriter;
use crate::storage::images::NewImage;
use crate::storage::layers::{LayerJob, StackLayer};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a pull is begun when other commands remove what it found in the store.
const TRIES: usize = 5;
/// Time between two looks whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Pulls an image in a leaf; returns the full name it is recorded under.
pub(super) fn pull(store: &Store, prepared: &Prepared, report: &mut dyn FnMut(Message)) -> Result<Reference> {
    fork::tidy_leaf("pull", &[], |reporter, stop| work(store, prepared, reporter, stop), report)
}

/// Asks for the tags of a repository in a leaf.
pub(super) fn tags(prepared: &Prepared, report: &mut dyn FnMut(Message)) -> Result<Vec<String>> {
    fork::tidy_leaf(
        "tags",
        &[],
        |reporter, stop| {
            let report = |event| reporter.send(Message::Event(event));
            registry::tags(prepared, &report, &|| stop.came())
        },
        report,
    )
    .map(|(_, tags)| tags)
}

/// Finds signatures in a leaf.
pub(super) fn signatures(
    prepared: &Prepared,
    report: &mut dyn FnMut(Message),
) -> Result<Vec<(Reference, Signatures)>> {
    fork::tidy_leaf(
        "signatures",
        &[],
        |reporter, stop| {
            let report = |event| reporter.send(Message::Event(event));
            registry::signatures(prepared, &report, &|| stop.came())
        },
        report,
    )
}

fn work(
    store: &Store,
    prepared: &Prepared,
    reporter: &Reporter<Message>,
    stop: &StopSignals,
) -> Result<Reference> {
    let _member = enter(store)?;
    for _ in 0..TRIES {
        let mut unpacking = Unpacking {
            store,
            reporter,
            slots: Vec::new(),
            begun: Vec::new(),
            give_up: Arc::new(AtomicBool::new(false)),
        };
        let report = |event| reporter.send(Message::Event(event));
        let outcome = registry::fetch(prepared, &mut unpacking, &report, &|| stop.came())
            .and_then(|fetched| unpacking.wait(stop).map(|()| fetched))
            .and_then(|fetched| unpacking.record(&fetched));
        match outcome {
            Ok(Some(reference)) => return Ok(reference),
            Ok(None) => log::info!("layers were removed in the meantime: fetching them again"),
            Err(e) if e.kind() == Kind::Image => {
                unpacking.forget();
                return Err(with_name(e, prepared));
            }
            Err(e) => {
                unpacking.salvage();
                return Err(e);
            }
        }
    }
    Err(Error::new(Kind::Storage, "other commands keep removing what is pulled")
        .hint("Try again when the running pulls and removals are done."))
}

/// A failure that speaks of a part of the image says which image that is.
fn with_name(e: Error, prepared: &Prepared) -> Error {
    let mut names = prepared.names();
    match (names.next(), names.next()) {
        (Some(name), None) if !e.names_image() => Error::new(e.kind(), format!("pull {name}")).caused_by(e),
        _ => e,
    }
}

/// A position in the image's stack of layers.
enum Slot {
    /// Nothing is known of it yet.
    Open,
    /// It is in the store.
    Present(ChainId),
    /// It is being unpacked.
    Job(LayerJob),
    /// It is unpacked, and waits for those below it.
    Done(StackLayer),
}

struct Unpacking<'a> {
    store: &'a Store,
    reporter: &'a Reporter<Message>,
    slots: Vec<Slot>,
    /// Blobs that were not here before.
    begun: Vec<Digest>,
    /// Tells the unpackers to stop.
    give_up: Arc<AtomicBool>,
}

impl Target for Unpacking<'_> {
    fn cached(&self, digest: &Digest) -> Option<Vec<u8>> {
        // A damaged blob is fetched again.
        self.store.blobs().read(digest).ok().flatten()
    }

    fn begin(&mut self, fetched: &Fetched, at: usize) -> Result<LayerSource> {
        self.slots.resize_with(fetched.image.layers.len().max(self.slots.len()), || Slot::Open);
        let ids = &fetched.parsed.rootfs.diff_ids;
        let chain = ChainId::chain(&ids[..=at]);
        let Some(id) = chain.last() else {
            return Err(Error::new(Kind::Image, "the image has no such layer"));
        };
        let layer = &fetched.image.layers[at];
        if self.store.layers().has(id) && self.store.blobs().has(&layer.digest) {
            self.slots[at] = Slot::Present(id.clone());
            return Ok(LayerSource::Present);
        }
        let layers = self.store.layers();
        if let Some(file) = self.store.blobs().open(&layer.digest)? {
            let source = Stoppable { inner: file, give_up: self.give_up.clone() };
            self.slots[at] = Slot::Job(layers.begin(&ids[at], &layer.media_type, source)?);
            return Ok(LayerSource::Present);
        }
        let writer = self.store.blobs().resume(&layer.digest, Some(layer.size))?;
        self.begun.push(layer.digest.clone());
        let source = Stoppable { inner: writer.reader(), give_up: self.give_up.clone() };
        self.slots[at] = Slot::Job(layers.begin(&ids[at], &layer.media_type, source)?);
        Ok(LayerSource::Fetch(Box::new(Sink(writer))))
    }
}

impl Unpacking<'_> {
    /// Waits until every layer is unpacked.
    fn wait(&mut self, stop: &StopSignals) -> Result<()> {
        for at in 0..self.slots.len() {
            if let Slot::Job(job) = &self.slots[at] {
                while !job.ends_within(LOOK_EVERY) {
                    if stop.came() {
                        return Err(Error::new(Kind::Runtime, "interrupted"));
                    }
                }
            }
            self.join(at)?;
            self.reporter.send(Message::Unpacked(at));
        }
        Ok(())
    }

    /// Takes the outcome of an unpacker; other slots stay as they are.
    fn join(&mut self, at: usize) -> Result<()> {
        let slot = std::mem::replace(&mut self.slots[at], Slot::Open);
        self.slots[at] = match slot {
            Slot::Job(job) => Slot::Done(StackLayer::New(job.join()?)),
            other => other,
        };
        Ok(())
    }

    /// Makes the layers and the image visible; nothing when a layer or blob no longer exists. From here
    /// on the lock keeps what is.
    fn record(&mut self, fetched: &Fetched) -> Result<Option<Reference>> {
        let lock = self.store.shared()?;
        match self.store.layers().commit(&lock, self.stack()) {
            Ok(_) => {}
            Err(e) if e.kind() == Kind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        }
        if !fetched.image.layers.iter().all(|layer| self.store.blobs().has(&layer.digest)) {
            return Ok(None);
        }
        failpoint::reach("pull.committed");
        let names = [fetched.reference.clone()];
        // A record that cannot be read is about to be replaced.
        let before = self.store.images().find_reference(&fetched.reference).ok().flatten();
        self.store.images().record(
            &lock,
            &NewImage {
                manifest: &fetched.manifest,
                media_type: &fetched.media_type,
                config: &fetched.config,
                names: &names,
                index: fetched.index.as_ref(),
                from_registry: true,
            },
        )?;
        self.reporter.send(Message::Recorded {
            name: fetched.reference.clone(),
            digest: fetched.index.clone().unwrap_or_else(|| Digest::sha256_of(&fetched.manifest)),
            config: fetched.image.config.clone(),
            newer: before.is_none_or(|image| image.id != fetched.image.config),
        });
        Ok(Some(fetched.reference.clone()))
    }

    /// The finished layers from the bottom up to the first that is not.
    fn stack(&mut self) -> Vec<StackLayer> {
        let finished = std::mem::take(&mut self.slots).into_iter().map_while(|slot| match slot {
            Slot::Present(id) => Some(StackLayer::Present(id)),
            Slot::Done(layer) => Some(layer),
            Slot::Open | Slot::Job(_) => None,
        });
        finished.collect()
    }

    /// Stops the unpackers and waits for them, so that they leave nothing.
    fn halt(&mut self) {
        self.give_up.store(true, Ordering::Relaxed);
        for at in 0..self.slots.len() {
            // Those that were stopped say so; the failure that matters is known already.
            let _ = self.join(at);
        }
    }

    /// After a refusal: drops the layers, and the blobs that came with them.
    fn forget(&mut self) {
        self.halt();
        self.slots.clear();
        let begun = std::mem::take(&mut self.begun);
        let gone = self.store.exclusive().and_then(|lock| self.store.images().discard_blobs(&lock, &begun));
        if let Err(e) = gone {
            log::info!("leftovers of a refused image are left to `coracle image prune`: {e}");
        }
    }

    /// After another failure: keeps what is complete.
    fn salvage(&mut self) {
        self.halt();
        let kept = self.store.shared().and_then(|lock| self.store.layers().commit(&lock, self.stack()));
        if let Err(e) = kept {
            log::info!("the complete layers could not be kept: {e}");
        }
    }
}

/// A layer's bytes on their way into its blob.
struct Sink(BlobWriter);

impl LayerSink for Sink {
    fn written(&self) -> u64 {
        self.0.written()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write(bytes)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.0.finish()
    }
}

/// A source that fails once it is told to stop.
struct Stoppable<R> {
    inner: R,
    give_up: Arc<AtomicBool>,
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.give_up.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        self.inner.read(buffer)
    }
}
