//! From a prepared name to verified bytes: manifest, configuration, and layers in parallel.
//!
//! Theory of operation. One async task per layer, at most [`SIDE_BY_SIDE`] at a time, moves bytes from the
//! network into a bounded channel; one thread per layer passes them to the caller's [`LayerSink`], which writes
//! and hashes them. So a slow disk slows down the network instead of filling memory. If told to stop, the fetch
//! ends as after a failure, so that partial results are discarded by their owners.

use super::blob::{Download, Part};
use super::documents::{self, Chosen, verify};
use super::endpoint::Endpoint;
use super::event::Event;
use super::http::Session;
use super::manifest::{self, ImageManifest};
use super::platform;
use super::prepare::{Candidate, Prepared};
use super::retry::Tries;
use super::runner::block_on;
use super::shown::shown;
use crate::error::{Context, Error, Kind, Result};
use crate::image::{Digest, ImageConfig, Reference, choice, document};
use futures_util::StreamExt;
use std::cell::RefCell;
use std::collections::HashSet;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Layers that are downloaded at the same time.
const SIDE_BY_SIDE: usize = 4;
/// Chunks between the network and a layer's thread.
const CHANNEL: usize = 32;
/// Shortest time between two reports on one layer.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// An image's documents, verified, as they came.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The full name it was fetched under.
    pub reference: Reference,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The manifest's media type.
    pub media_type: String,
    /// The index it was chosen from.
    pub index: Option<Digest>,
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// The configuration, read.
    pub parsed: ImageConfig,
    /// The manifest, read.
    pub image: ImageManifest,
}

/// Takes one layer's bytes, on a thread of its own. Dropped unfinished, it leaves nothing visible.
pub trait LayerSink: Send {
    /// Bytes left by an earlier attempt; the transfer resumes from there.
    fn written(&self) -> u64;
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they cannot be kept.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// All bytes were written: verifies the digest and makes the blob visible.
    ///
    /// # Errors
    /// The digest is another one.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Where a layer comes from.
pub enum LayerSource {
    /// From here; nothing is fetched.
    Present,
    /// From the registry, into this sink.
    Fetch(Box<dyn LayerSink>),
}

/// The caller's side of a fetch.
pub trait Target {
    /// A small blob that is here already.
    fn cached(&self, digest: &Digest) -> Option<Vec<u8>>;
    /// Called before a layer is fetched; again for the same one when a transfer starts again.
    ///
    /// # Errors
    /// When the layer cannot be taken.
    fn begin(&mut self, fetched: &Fetched, layer: usize) -> Result<LayerSource>;
}

/// Fetches an image. Starts threads: to be called in a leaf.
///
/// # Errors
/// No host delivers the image, it is malformed, or the target refuses.
pub fn fetch(
    prepared: &Prepared,
    target: &mut dyn Target,
    report: &dyn Fn(Event),
    stopped: &dyn Fn() -> bool,
) -> Result<Fetched> {
    let fetcher =
        Fetcher { prepared, target: RefCell::new(target), report, threads: RefCell::new(Vec::new()) };
    let result = block_on(stopped, async {
        let mut failures = Vec::new();
        if let Some(how) = &prepared.how {
            report(Event::Resolved(how.clone()));
        }
        for candidate in &prepared.candidates {
            report(Event::Trying(candidate.reference.clone()));
            match fetcher.candidate(candidate).await {
                Ok(fetched) => return Ok(fetched),
                Err(e) if is_local(&e) => return Err(e),
                Err(e) => failures.push(e),
            }
        }
        Err(sum_up(prepared, failures))
    });
    for thread in fetcher.threads.take() {
        // Its outcome was received, or the fetch has failed for another reason.
        let _ = thread.join();
    }
    result
}

/// Failures for which trying another host is pointless.
fn is_local(e: &Error) -> bool {
    !matches!(e.kind(), Kind::Registry | Kind::NotFound | Kind::Image)
}

/// One failure for a name that was tried under several full names: each of them says why, in one line.
fn sum_up(prepared: &Prepared, mut failures: Vec<Error>) -> Error {
    if failures.len() == 1
        && let Some(only) = failures.pop()
    {
        return only;
    }
    let names: Vec<String> = prepared.names().map(ToString::to_string).collect();
    let all = Error::new(Kind::NotFound, format!("none of {} could be pulled", names.join(", ")));
    let each = failures.iter().map(|failure| Error::new(failure.kind(), failure.in_one_line()));
    let why = each.rev().reduce(|below, one| one.caused_by(below));
    let mut error = why.into_iter().fold(all, Error::caused_by);
    let mut told = HashSet::new();
    for hint in failures.iter().flat_map(Error::hints) {
        if told.insert(hint) {
            error = error.hint(hint);
        }
    }
    error
}

struct Fetcher<'a> {
    prepared: &'a Prepared,
    target: RefCell<&'a mut dyn Target>,
    report: &'a dyn Fn(Event),
    threads: RefCell<Vec<JoinHandle<()>>>,
}

impl Fetcher<'_> {
    async fn candidate(&self, candidate: &Candidate) -> Result<Fetched> {
        let mut last = Error::new(Kind::Registry, format!("{} has no host", candidate.reference));
        for (at, endpoint) in candidate.endpoints.iter().enumerate() {
            match self.endpoint(candidate, endpoint).await {
                Ok(fetched) => return Ok(fetched),
                Err(e) if is_local(&e) => return Err(e),
                Err(e) => {
                    if at + 1 < candidate.endpoints.len() {
                        (self.report)(Event::Warning(format!(
                            "mirror {}: {}",
                            endpoint.host(),
                            e.in_one_line()
                        )));
                    }
                    last = e;
                }
            }
        }
        Err(last)
    }

    async fn endpoint(&self, candidate: &Candidate, endpoint: &Endpoint) -> Result<Fetched> {
        let session = Session::open(endpoint).await?;
        let fetched = self.documents(candidate, &session).await?;
        let layers = &fetched.image.layers;
        (self.report)(Event::Layers(layers.iter().map(|l| (l.digest.clone(), l.size)).collect()));
        // A blob that occurs twice is fetched once: its second occurrence finds it here.
        let mut seen = HashSet::new();
        let (first, again): (Vec<usize>, Vec<usize>) =
            (0..layers.len()).partition(|i| seen.insert(layers[*i].digest.clone()));
        for round in [first, again] {
            let work = round.into_iter().map(|at| self.layer(&session, &fetched, at));
            let mut running = futures_util::stream::iter(work).buffer_unordered(SIDE_BY_SIDE);
            while let Some(result) = running.next().await {
                result?;
            }
        }
        Ok(fetched)
    }

    /// Manifest and configuration.
    async fn documents(&self, candidate: &Candidate, session: &Session) -> Result<Fetched> {
        let name = candidate.reference.to_string();
        let Chosen { bytes, content_type, image, index } =
            documents::chosen(session, &candidate.reference, self.prepared, self.report).await?;
        candidate.check_admitted(&bytes)?;
        let config = self.config(session, &image).await?;
        let parsed: ImageConfig = document::parse(&config).map_err(|e| {
            Error::new(Kind::Image, format!("the configuration of {name} is malformed"))
                .caused_by(e)
                .naming_image()
        })?;
        if parsed.rootfs.diff_ids.len() != image.layers.len() {
            let (layers, ids) = (image.layers.len(), parsed.rootfs.diff_ids.len());
            let message = format!("{name}: the manifest has {layers} layers, the configuration {ids}");
            return Err(Error::new(Kind::Image, message).naming_image());
        }
        if !platform::agrees(&parsed.os, &parsed.architecture, &choice::refined(&self.prepared.platform)) {
            (self.report)(Event::Warning(format!(
                "{name} is for {}/{}, not for {}",
                shown(&parsed.os),
                shown(&parsed.architecture),
                self.prepared.platform
            )));
        }
        let media_type = manifest::media_type(content_type.as_deref(), &bytes);
        let reference = candidate.reference.clone();
        Ok(Fetched { reference, manifest: bytes, media_type, index, config, parsed, image })
    }

    async fn config(&self, session: &Session, image: &ImageManifest) -> Result<Vec<u8>> {
        let cached = self.target.borrow().cached(&image.config);
        if let Some(bytes) = cached.filter(|b| verify("configuration", &image.config, b).is_ok()) {
            return Ok(bytes);
        }
        documents::config(session, self.prepared.retry, self.report, image).await
    }

    async fn layer(&self, session: &Session, fetched: &Fetched, at: usize) -> Result<()> {
        let layer = &fetched.image.layers[at];
        loop {
            let sink = match self.target.borrow_mut().begin(fetched, at)? {
                LayerSource::Present => {
                    (self.report)(Event::Present(at));
                    return Ok(());
                }
                LayerSource::Fetch(sink) => sink,
            };
            let position = sink.written();
            let (to, from) = mpsc::channel(CHANNEL);
            let (tell, outcome) = oneshot::channel();
            let thread = std::thread::Builder::new()
                .name(format!("layer {}", layer.digest.short()))
                .spawn(move || drop(tell.send(drain(from, sink))))
                .context(Kind::Host, || "start a thread")?;
            self.threads.borrow_mut().push(thread);
            let mut download = Download { session, digest: &layer.digest, size: layer.size, position };
            let mut tries = Tries::new(self.prepared.retry);
            let mut last = Instant::now();
            let mut progress = |bytes| {
                if last.elapsed() >= REPORT_EVERY {
                    last = Instant::now();
                    (self.report)(Event::Progress(at, bytes));
                }
            };
            let sent = download.run(&mut tries, &to, self.report, &mut progress).await;
            drop(to);
            let kept = outcome.await.map_err(|_| Error::new(Kind::Storage, "a layer's thread died"))?;
            sent?;
            match kept {
                Ok(()) => {
                    (self.report)(Event::Downloaded(at));
                    return Ok(());
                }
                // What an earlier attempt left was wrong, and is gone now: once more from the start.
                Err(e) if position > 0 && e.kind() == Kind::Image => {
                    log::info!("{e}; fetching it from the start");
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// A layer's thread: from the channel into the sink. A channel that ends early drops the sink.
fn drain(mut from: mpsc::Receiver<Part>, mut sink: Box<dyn LayerSink>) -> Result<()> {
    while let Some(part) = from.blocking_recv() {
        match part {
            Part::Bytes(bytes) => sink.write(&bytes)?,
            Part::End => return sink.finish(),
        }
    }
    Ok(())
}
