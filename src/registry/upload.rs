//! Uploads one blob over an unreliable connection: interrupted uploads are resumed where the registry can.
//!
//! Theory of operation. POST begins an upload, one PATCH sends all bytes as a stream, PUT ends it with the digest
//! (distribution spec, end-4a, end-5, end-6). So a blob can be sent before its digest is known. A thread reads the
//! bytes and passes them through a bounded channel, so that a slow network slows down the disk instead of filling
//! memory. After a broken connection the registry is asked how far it has come (end-13). If it does not know, as
//! some lose an upload whose connection breaks, another upload begins.

use super::blob::pause;
use super::client::redirect_target;
use super::event::Event;
use super::http::{Ask, Content, Session, Verb};
use super::retry::{Pace, Tries, Trouble};
use crate::error::{Context, Error, Kind, Result};
use crate::image::Digest;
use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Response, StatusCode, Url, header};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// What a blob is sent as.
pub(super) const BYTES: &str = "application/octet-stream";
/// Bytes that count as headway.
const HEADWAY: u64 = 64 << 10;
/// Bytes in one piece on the way to the network.
const PIECE: usize = 256 << 10;
/// Pieces between the source and the network.
const CHANNEL: usize = 8;
/// Time between two looks at how far the upload has come.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where the bytes of a blob come from. Used by threads.
pub trait BlobSource: Send + Sync {
    /// Reads bytes from a place on, and waits for those that are still being made. 0 is the end.
    ///
    /// # Errors
    /// When they cannot be read or made.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// How many bytes there are, where that is known already.
    fn length(&self) -> Option<u64>;
    /// Digest and size in bytes, once the end has been read.
    ///
    /// # Errors
    /// When the bytes could not be made.
    fn finish(&self) -> Result<(Digest, u64)>;
    /// Nobody reads any more: those who wait are woken, and nothing more is made.
    fn give_up(&self);
}

/// A blob on its way to the registry.
pub(super) struct Upload<'a> {
    session: &'a Session,
    source: Arc<dyn BlobSource>,
    /// Where the registry takes the next bytes.
    place: Option<Url>,
    /// Bytes that the registry has.
    sent: u64,
    /// The most that it has had when another try began.
    best: u64,
    /// Whether the registry has to be asked what it has.
    doubtful: bool,
    /// Whether the end was sent, and its answer lost.
    ended: bool,
    /// Why the source has failed.
    failure: Arc<Mutex<Option<io::Error>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<'a> Upload<'a> {
    /// An upload that begins; at a place that the registry has named, or else one that is asked for.
    pub(super) fn new(session: &'a Session, source: Arc<dyn BlobSource>, place: Option<Url>) -> Upload<'a> {
        Upload {
            session,
            source,
            place,
            sent: 0,
            best: 0,
            doubtful: false,
            ended: false,
            failure: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// Sends everything; gives the digest and the size in bytes.
    ///
    /// # Errors
    /// The registry refuses, or the source fails.
    pub(super) async fn run(
        &mut self,
        tries: &mut Tries,
        report: &dyn Fn(Event),
        progress: &dyn Fn(u64),
    ) -> Result<(Digest, u64)> {
        loop {
            let trouble = match self.attempt(progress).await {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            if let Some(failure) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
                let unread = |e| Error::new(Kind::Storage, "read a blob to be pushed").caused_by(e);
                return Err(failure.downcast::<Error>().unwrap_or_else(unread));
            }
            if self.sent >= self.best + HEADWAY {
                self.best = self.sent;
                tries.headway();
            }
            pause(tries, trouble, report).await?;
        }
    }

    /// Ends the threads that read the source.
    pub(super) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // What it has to say was received, or the upload has failed for another reason.
            let _ = thread.join();
        }
    }

    async fn attempt(&mut self, progress: &dyn Fn(u64)) -> Result<(Digest, u64), Trouble> {
        if self.ended {
            let (digest, size) = self.source.finish()?;
            if is_there(self.session, &digest, size).await? {
                return Ok((digest, size));
            }
            (self.place, self.sent, self.ended, self.doubtful) = (None, 0, false, false);
        }
        if self.doubtful {
            self.look().await?;
        }
        let place = match &self.place {
            Some(place) => place.clone(),
            None => self.begin().await?,
        };
        let place = self.send(place, progress).await?;
        let (digest, size) = self.source.finish()?;
        if self.sent != size {
            let message = format!("registry {} has kept {} of {size} bytes", self.host(), self.sent);
            // More than there are is no place to go on from.
            (self.place, self.sent) =
                if self.sent > size { (None, 0) } else { (self.place.take(), self.sent) };
            return Err(Trouble::passing(Error::new(Kind::Registry, message)));
        }
        self.end(place, &digest).await?;
        Ok((digest, size))
    }

    fn host(&self) -> &str {
        self.session.endpoint.host()
    }

    /// Begins an upload.
    async fn begin(&mut self) -> Result<Url, Trouble> {
        let what = "blobs/uploads/";
        let url = self.session.url(what)?;
        let response =
            self.session.ask(url.clone(), what, Ask { verb: Verb::Post, ..Ask::default() }).await?;
        let place = location(self.session, &url, &response)?;
        self.sent = 0;
        self.place = Some(place.clone());
        Ok(place)
    }

    /// Asks how far the upload has come; if that is not to be known, there is none any more.
    async fn look(&mut self) -> Result<(), Trouble> {
        self.doubtful = false;
        let Some(place) = self.place.take() else { return Ok(()) };
        match self.session.ask(place.clone(), "blobs/uploads/", Ask::default()).await {
            Ok(response) => {
                self.sent = received(&response).unwrap_or(0);
                if self.source.length().is_some_and(|length| self.sent > length) {
                    log::debug!("the registry says that it has {} bytes; another upload begins", self.sent);
                    self.sent = 0;
                    return Ok(());
                }
                let next = location(self.session, &place, &response).unwrap_or(place);
                self.place = Some(next);
                log::debug!("the registry has {} bytes of the upload", self.sent);
                Ok(())
            }
            Err(trouble) if trouble.status.is_some() && !trouble.retry => {
                log::debug!("{}; another upload begins", trouble.error);
                self.sent = 0;
                Ok(())
            }
            Err(trouble) => {
                (self.place, self.doubtful) = (Some(place), true);
                Err(trouble)
            }
        }
    }

    /// Sends the bytes that the registry does not have.
    async fn send(&mut self, place: Url, progress: &dyn Fn(u64)) -> Result<Url, Trouble> {
        let (from, length) = (self.sent, self.source.length());
        let left = length.map(|all| all.saturating_sub(from));
        if left == Some(0) && from > 0 {
            return Ok(place);
        }
        let counter = Arc::new(AtomicU64::new(0));
        let threads = std::cell::RefCell::new(Vec::new());
        let body = || {
            counter.store(0, Ordering::Relaxed);
            self.body(from, counter.clone(), &mut threads.borrow_mut())
        };
        // Only what continues needs to say where; not every registry reads it in the first request.
        let range = length.filter(|_| from > 0).map(|all| (from, all - 1));
        let content = Content { media_type: BYTES, length: left, range, body: &body };
        let ask = Ask { verb: Verb::Patch, content: Some(content), ..Ask::default() };
        let sending = self.session.ask(place.clone(), "blobs/uploads/", ask);
        let response = watched(self.host(), sending, &counter, &|sent| progress(from + sent)).await;
        self.threads.append(&mut threads.borrow_mut());
        let response = match response {
            Ok(response) => response,
            Err(trouble) => {
                // An upload that is gone, or not where we take it to be, is begun again.
                let lost = matches!(trouble.status, Some(404 | 416));
                self.doubtful = true;
                if trouble.status == Some(404) {
                    (self.place, self.sent) = (None, 0);
                }
                return Err(Trouble { retry: trouble.retry || lost, ..trouble });
            }
        };
        let total = from + counter.load(Ordering::Relaxed);
        self.sent = match received(&response) {
            // Some count from one.
            Some(kept) if kept == total + 1 => total,
            Some(kept) if kept > total => {
                let message = format!("registry {} says that it has {kept} of {total} bytes", self.host());
                return Err(Error::new(Kind::Registry, message).into());
            }
            Some(kept) => kept,
            None => total,
        };
        progress(self.sent);
        let next = match response.headers().contains_key(header::LOCATION) {
            true => location(self.session, &place, &response)?,
            false => place,
        };
        self.place = Some(next.clone());
        Ok(next)
    }

    /// A stream of the source's bytes, fed by a thread.
    fn body(&self, from: u64, counter: Arc<AtomicU64>, threads: &mut Vec<JoinHandle<()>>) -> Body {
        let (to, pieces) = mpsc::channel::<io::Result<Bytes>>(CHANNEL);
        let (source, failure) = (self.source.clone(), self.failure.clone());
        let feed = move || {
            let mut at = from;
            loop {
                let mut piece = vec![0; PIECE];
                match source.read_at(at, &mut piece) {
                    Ok(0) => return,
                    Ok(count) => {
                        piece.truncate(count);
                        at += count as u64;
                        if to.blocking_send(Ok(piece.into())).is_err() {
                            return;
                        }
                    }
                    Err(e) => {
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
                        // A request that has ended already has its own answer.
                        let _ = to.blocking_send(Err(io::ErrorKind::Other.into()));
                        return;
                    }
                }
            }
        };
        match std::thread::Builder::new().name("upload".into()).spawn(feed) {
            Ok(thread) => threads.push(thread),
            Err(e) => *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(e),
        }
        Body::wrap_stream(stream::unfold((pieces, counter), async |(mut pieces, counter)| {
            let piece = pieces.recv().await?;
            if let Ok(bytes) = &piece {
                counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            Some((piece, (pieces, counter)))
        }))
    }

    /// Ends the upload.
    async fn end(&mut self, mut place: Url, digest: &Digest) -> Result<(), Trouble> {
        place.query_pairs_mut().append_pair("digest", digest.as_str());
        let content =
            Content { media_type: BYTES, length: Some(0), range: None, body: &|| Body::from(Bytes::new()) };
        let ask = Ask { verb: Verb::Put, content: Some(content), ..Ask::default() };
        let sending = self.session.ask(place, "blobs/uploads/", ask);
        match watched(self.host(), sending, &AtomicU64::new(0), &|_| {}).await {
            Ok(response) => promised(&response, "blob", digest, self.host()).map_err(Into::into),
            Err(trouble) => {
                let lost = trouble.status == Some(404);
                self.ended = trouble.retry || lost;
                Err(Trouble { retry: trouble.retry || lost, ..trouble })
            }
        }
    }
}

/// Whether the registry has a blob.
///
/// # Errors
/// Every answer but yes and no.
pub(super) async fn is_there(session: &Session, digest: &Digest, size: u64) -> Result<bool, Trouble> {
    let ask = Ask { verb: Verb::Head, ..Ask::default() };
    match session.get(&format!("blobs/{digest}"), ask).await {
        // One of another length is damaged there.
        Ok(response) => {
            let length = response.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
            Ok(length.and_then(|v| v.parse::<u64>().ok()).is_none_or(|length| length == size))
        }
        Err(trouble) if trouble.status == Some(StatusCode::NOT_FOUND.as_u16()) => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

/// Waits for the answer to a request that takes long to send, as long as its bytes are taken.
///
/// # Errors
/// Those of the request; the registry takes too few bytes, or does not answer.
pub(super) async fn watched(
    host: &str,
    request: impl Future<Output = Result<Response, Trouble>>,
    sent: &AtomicU64,
    progress: &dyn Fn(u64),
) -> Result<Response, Trouble> {
    let (mut request, mut pace, mut before) = (pin!(request), Pace::new(), 0);
    loop {
        tokio::select! {
            answer = &mut request => return answer,
            () = tokio::time::sleep(LOOK_EVERY) => {
                let now = sent.load(Ordering::Relaxed);
                progress(now);
                if pace.is_too_slow(now.saturating_sub(before)) {
                    let why = format!("registry {host} took an upload too slowly: {}", Pace::LIMIT);
                    return Err(Trouble::passing(Error::new(Kind::Registry, why)));
                }
                before = now;
            }
        }
    }
}

/// Where the registry wants the next request.
///
/// # Errors
/// Nowhere, or a place that nothing is sent to.
pub(super) fn location(session: &Session, from: &Url, response: &Response) -> Result<Url> {
    let place = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
    redirect_target(from, place).map_err(|why| {
        let host = session.endpoint.host();
        Error::new(Kind::Registry, format!("registry {host} sends an upload {why}"))
    })
}

/// How many bytes the registry has, by `Range: 0-LAST`; `0-0` is what is said of none.
fn received(response: &Response) -> Option<u64> {
    let range = response.headers().get(header::RANGE)?.to_str().ok()?;
    let last = range.trim_start_matches("bytes").trim_start_matches([' ', '=']).strip_prefix("0-")?;
    last.trim().parse::<u64>().ok()?.checked_add(1).map(|count| if count == 1 { 0 } else { count })
}

/// Compares the digest that a registry answers with.
///
/// # Errors
/// It is another one.
pub(super) fn promised(response: &Response, what: &str, digest: &Digest, host: &str) -> Result<()> {
    let said = response.headers().get("docker-content-digest").and_then(|v| v.to_str().ok());
    match said.map(str::parse::<Digest>) {
        Some(Ok(said)) if said != *digest && said.algorithm() == digest.algorithm() => {
            Err(Error::new(Kind::Registry, format!("registry {host} has stored {what} {digest} as {said}")))
                .context(Kind::Registry, || "the upload is not what was sent")
                .map_err(|e| {
                    e.hint("The registry or a proxy in between changes what is sent: tell its owner.")
                })
        }
        _ => Ok(()),
    }
}
