//! Pushing: blobs in parallel, then the manifest that names them.
//!
//! Theory of operation. A [`Pusher`] is a conversation with one repository. The caller sends blobs first and the
//! manifest last, so a registry never shows an image that is not whole. A blob that the registry has is not sent: it is
//! asked for by digest, then mounted from another of its repositories if the caller knows of one (distribution spec,
//! end-11). Blobs whose digest is not known yet are sent while they are made.

use super::blob::retrying;
use super::event::PushEvent;
use super::http::{Ask, Content, Session, Verb};
use super::prepare::Prepared;
use super::retry::{RetryPolicy, Tries};
use super::runner::Runner;
use super::upload::{BlobSource, Upload, is_there, location, promised, watched};
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Reference};
use futures_util::StreamExt;
use reqwest::{Body, StatusCode, Url};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Blobs that are sent at the same time.
const SIDE_BY_SIDE: usize = 4;
/// Repositories that a blob is asked for in, before it is sent.
const MOUNTS_MAX: usize = 5;

/// A blob that the registry is to have.
pub trait Blob {
    /// Its digest and size in bytes, if they are known.
    fn known(&self) -> Option<(Digest, u64)>;
    /// Paths of other repositories of the same registry that may have it.
    fn elsewhere(&self) -> Vec<String>;
    /// Its bytes, if they have to be sent.
    ///
    /// # Errors
    /// When they are not to be had.
    fn source(&self) -> Result<Arc<dyn BlobSource>>;
}

/// A conversation with the repository that is pushed to.
pub struct Pusher<'a> {
    runner: Runner,
    session: Session,
    reference: Reference,
    retry: RetryPolicy,
    /// Whether asking for blobs of other repositories has any prospect.
    mounts: Cell<bool>,
    report: &'a dyn Fn(PushEvent),
    stopped: &'a dyn Fn() -> bool,
}

impl<'a> Pusher<'a> {
    /// Finds out how to speak to the registry. Starts threads later: to be called in a leaf.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn open(
        prepared: &Prepared,
        report: &'a dyn Fn(PushEvent),
        stopped: &'a dyn Fn() -> bool,
    ) -> Result<Pusher<'a>> {
        let runner = Runner::new()?;
        let nowhere = || Error::new(Kind::Usage, "nothing says where to push to");
        let candidate = prepared.candidates.first().ok_or_else(nowhere)?;
        let endpoint = candidate.endpoints.last().ok_or_else(nowhere)?;
        let session = runner.run(stopped, Session::open(endpoint))?;
        session.widen(format!("repository:{}:pull,push", endpoint.reference.path()));
        let (reference, retry) = (candidate.reference.clone(), prepared.retry);
        Ok(Pusher { runner, session, reference, retry, mounts: Cell::new(true), report, stopped })
    }

    /// The name that is pushed to, in full.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Has the registry have these blobs; gives the digest and size in bytes of each. Events number them from `first` on.
    ///
    /// # Errors
    /// The registry refuses one, or one cannot be read.
    pub fn blobs(&self, first: usize, blobs: &[&dyn Blob]) -> Result<Vec<(Digest, u64)>> {
        let begun = RefCell::new(Vec::new());
        let result = self.runner.run(self.stopped, async {
            let work = blobs
                .iter()
                .enumerate()
                .map(async |(at, blob)| (at, self.blob(first + at, *blob, &begun).await));
            let mut running = futures_util::stream::iter(work).buffer_unordered(SIDE_BY_SIDE);
            let mut done: Vec<Option<(Digest, u64)>> = vec![None; blobs.len()];
            while let Some((at, result)) = running.next().await {
                done[at] = Some(result?);
            }
            Ok(done.into_iter().flatten().collect())
        });
        begun.take().iter().for_each(|source: &Arc<dyn BlobSource>| source.give_up());
        result
    }

    async fn blob(
        &self,
        at: usize,
        blob: &dyn Blob,
        begun: &RefCell<Vec<Arc<dyn BlobSource>>>,
    ) -> Result<(Digest, u64)> {
        let session_events = |event| (self.report)(PushEvent::Session(event));
        let mut tries = Tries::new(self.retry);
        let mut place = None;
        if let Some((digest, size)) = blob.known() {
            if retrying(&mut tries, &session_events, async || is_there(&self.session, &digest, size).await)
                .await?
            {
                (self.report)(PushEvent::Present(at, digest.clone(), size));
                return Ok((digest, size));
            }
            for repository in blob.elsewhere().into_iter().take(MOUNTS_MAX) {
                if !self.mounts.get() {
                    break;
                }
                match self.mount(&digest, &repository).await {
                    Some(Mounted::Yes) => {
                        (self.report)(PushEvent::Mounted(at, repository));
                        return Ok((digest, size));
                    }
                    // It has begun an upload instead.
                    Some(Mounted::Upload(begun)) => {
                        place = Some(begun);
                        break;
                    }
                    None => {}
                }
            }
        }
        let source = blob.source()?;
        begun.borrow_mut().push(source.clone());
        let mut upload = Upload::new(&self.session, source, place);
        let mut tries = Tries::new(self.retry);
        let progress = |bytes| (self.report)(PushEvent::Progress(at, bytes));
        let (digest, size) = upload.run(&mut tries, &session_events, &progress).await?;
        upload.join();
        (self.report)(PushEvent::Sent(at, digest.clone(), size));
        Ok((digest, size))
    }

    /// Asks for a blob of another repository. `None` when that is no way to have it.
    async fn mount(&self, digest: &Digest, from: &str) -> Option<Mounted> {
        self.session.widen(format!("repository:{from}:pull"));
        let what = "blobs/uploads/";
        let mut url = self.session.url(what).ok()?;
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from);
        match self.session.ask(url.clone(), what, Ask { verb: Verb::Post, ..Ask::default() }).await {
            Ok(response) if response.status() == StatusCode::CREATED => Some(Mounted::Yes),
            Ok(response) => location(&self.session, &url, &response).ok().map(Mounted::Upload),
            Err(trouble) => {
                log::debug!("blob {digest} is not mounted from {from}: {}", trouble.error);
                // Who is overloaded, or lets us in no longer, is not asked for favours.
                if trouble.retry || matches!(trouble.status, Some(401 | 429 | 500..)) {
                    self.mounts.set(false);
                }
                None
            }
        }
    }

    /// Sends a manifest or an index, by the tag of the name that is pushed to or by its digest; gives the digest.
    ///
    /// # Errors
    /// The registry refuses it, or stores something else.
    pub fn manifest(&self, media_type: &str, bytes: &[u8], tagged: bool) -> Result<Digest> {
        let own = self.session.endpoint.reference.digest();
        let digest = own.map_or_else(|| Digest::sha256_of(bytes), |own| own.of_same_kind(bytes));
        if let Some(wanted) = own.filter(|own| tagged && **own != digest) {
            let message = format!("{} is the name of {wanted}, and this is {digest}", self.reference);
            return Err(Error::new(Kind::Usage, message).hint("Give a name with a tag."));
        }
        let tag = self.session.endpoint.reference.tag_or_latest().filter(|_| tagged);
        let what = format!("manifests/{}", tag.unwrap_or(digest.as_str()));
        let body = bytes::Bytes::copy_from_slice(bytes);
        let make = || Body::from(body.clone());
        let content = Content { media_type, length: Some(body.len() as u64), range: None, body: &make };
        let ask = Ask { verb: Verb::Put, content: Some(content), ..Ask::default() };
        let mut tries = Tries::new(self.retry);
        self.runner.run(self.stopped, async {
            retrying(&mut tries, &|event| (self.report)(PushEvent::Session(event)), async || {
                let host = self.session.endpoint.host();
                let sending = self.session.ask(self.session.url(&what)?, &what, ask);
                let response = watched(host, sending, &AtomicU64::new(0), &|_| {}).await?;
                promised(&response, "manifest", &digest, host).map_err(Into::into)
            })
            .await
        })?;
        Ok(digest)
    }
}

enum Mounted {
    Yes,
    Upload(Url),
}
