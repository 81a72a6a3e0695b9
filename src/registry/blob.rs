//! Downloads one blob over an unreliable connection: interrupted downloads are resumed.

use super::event::Event;
use super::http::{Ask, Session};
use super::retry::{Pace, Tries, Trouble};
use crate::error::{Error, Kind, Result};
use crate::image::Digest;
use bytes::Bytes;
use reqwest::{Response, StatusCode, header};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Bytes that count as headway, so that a server which sends a few bytes each time does not keep us
/// forever.
const HEADWAY: u64 = 64 << 10;

/// What goes to the thread that takes a blob.
#[derive(Debug)]
pub(super) enum Part {
    /// The next bytes.
    Bytes(Bytes),
    /// All bytes were sent. Without it the transfer was given up.
    End,
}

/// Tries a request until it succeeds, cannot succeed, or was tried often enough.
///
/// # Errors
/// The last failure.
pub(super) async fn retrying<T>(
    tries: &mut Tries,
    report: &dyn Fn(Event),
    mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
) -> Result<T> {
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(trouble) => pause(tries, trouble, report).await?,
        }
    }
}

/// Waits before the next try, and says so when the wait is long enough to wonder.
pub(super) async fn pause(tries: &mut Tries, trouble: Trouble, report: &dyn Fn(Event)) -> Result<()> {
    let why = trouble.error.message().to_owned();
    let wait = tries.after(trouble)?;
    log::debug!("{why}; trying again in {wait:?}");
    if wait >= Duration::from_millis(500) {
        report(Event::Waiting { why, seconds: wait.as_secs_f64().ceil() as u64 });
    }
    tokio::time::sleep(wait).await;
    Ok(())
}

/// A blob to be fetched, and how far it has come.
#[derive(Debug)]
pub(super) struct Download<'a> {
    pub session: &'a Session,
    pub digest: &'a Digest,
    /// The promised size in bytes.
    pub size: u64,
    /// Bytes that were delivered.
    pub position: u64,
}

impl Download<'_> {
    /// Sends all bytes from `position` on, then [`Part::End`]. Ends early without a failure when the
    /// other side has stopped listening: it knows why.
    ///
    /// # Errors
    /// The registry does not deliver, or delivers more than was promised.
    pub(super) async fn run(
        &mut self,
        tries: &mut Tries,
        to: &Sender<Part>,
        report: &dyn Fn(Event),
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        while self.position < self.size {
            let before = self.position;
            let outcome = self.attempt(to, progress).await;
            if self.position >= before + HEADWAY {
                tries.headway();
            }
            match outcome {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(trouble) => pause(tries, trouble, report).await?,
            }
        }
        // A listener that has gone knows why.
        let _ = to.send(Part::End).await;
        Ok(())
    }

    /// One request. `false` when nobody listens any more.
    async fn attempt(&mut self, to: &Sender<Part>, progress: &mut dyn FnMut(u64)) -> Result<bool, Trouble> {
        let from = (self.position > 0).then_some(self.position);
        let ask = Ask { from, ..Ask::default() };
        let mut response = self.session.get(&format!("blobs/{}", self.digest), ask).await?;
        let mut skip = self.offset(&response)?;
        let mut pace = Pace::new();
        loop {
            let mut chunk = match response.chunk().await {
                Ok(Some(chunk)) if pace.is_too_slow(chunk.len() as u64) => {
                    return Err(self.cut(&format!("it came too slowly ({})", Pace::LIMIT)));
                }
                Ok(Some(chunk)) => chunk,
                Ok(None) if self.position < self.size => {
                    return Err(self.cut("the stream ended early"));
                }
                Ok(None) => return Ok(true),
                Err(e) => return Err(Trouble::passing(self.session.broken(&e))),
            };
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            let chunk = chunk.split_off(skipped);
            skip -= skipped as u64;
            if chunk.is_empty() {
                continue;
            }
            let length = chunk.len() as u64;
            if self.position + length > self.size {
                let message = format!("blob {} is longer than the promised {} bytes", self.digest, self.size);
                return Err(Error::new(Kind::Image, message).into());
            }
            if to.send(Part::Bytes(chunk)).await.is_err() {
                return Ok(false);
            }
            self.position += length;
            progress(self.position);
            if self.position == self.size {
                return Ok(true);
            }
        }
    }

    /// How many bytes at the head of this answer were delivered already: a server that does not know
    /// ranges begins again.
    fn offset(&self, response: &Response) -> Result<u64, Trouble> {
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(self.position);
        }
        let range = response.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok());
        let first = range
            .and_then(|r| r.trim().strip_prefix("bytes"))
            .and_then(|r| r.trim_start_matches([' ', '=']).split('-').next())
            .and_then(|n| n.trim().parse::<u64>().ok());
        match first {
            Some(first) if first <= self.position => Ok(self.position - first),
            _ => Err(Error::new(
                Kind::Registry,
                format!(
                    "registry {} resumes blob {} at the wrong place",
                    self.session.endpoint.host(),
                    self.digest
                ),
            )
            .into()),
        }
    }

    fn cut(&self, how: &str) -> Trouble {
        Trouble::passing(Error::new(
            Kind::Registry,
            format!(
                "blob {} from registry {}: {how}, after {} of {} bytes",
                self.digest,
                self.session.endpoint.host(),
                self.position,
                self.size
            ),
        ))
    }
}
