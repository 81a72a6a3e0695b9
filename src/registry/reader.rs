//! Reading documents and blobs of a repository one by one, for what is no image to be pulled.

use super::blob::{Download, Part};
use super::documents::{self, verify};
use super::event::Event;
use super::http::Session;
use super::manifest::{self, Document};
use super::prepare::Prepared;
use super::retry::{RetryPolicy, Tries};
use super::runner::Runner;
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, choice};
use tokio::sync::mpsc;

/// Chunks between the network and who takes them.
const CHANNEL: usize = 32;

/// A conversation with the first host that has the name.
pub struct Reader<'a> {
    runner: Runner,
    session: Session,
    retry: RetryPolicy,
    report: &'a dyn Fn(Event),
    stopped: &'a dyn Fn() -> bool,
}

impl<'a> Reader<'a> {
    /// Finds the name; gives the bytes of its manifest, that of the wanted platform where there are several. Starts
    /// threads: to be called in a leaf.
    ///
    /// # Errors
    /// No host has it, or what it has is not what was signed.
    pub fn open(
        prepared: &Prepared,
        report: &'a dyn Fn(Event),
        stopped: &'a dyn Fn() -> bool,
    ) -> Result<(Reader<'a>, Vec<u8>)> {
        let runner = Runner::new()?;
        let found = runner.run(stopped, async {
            let mut last = Error::new(Kind::Usage, "nothing to ask");
            let all = prepared.candidates.iter();
            let all = all.flat_map(|candidate| candidate.endpoints.iter().map(move |at| (candidate, at)));
            for (candidate, endpoint) in all {
                let found = async {
                    let session = Session::open(endpoint).await?;
                    let manifest = named(&session, prepared, report).await?;
                    candidate.check_admitted(&manifest)?;
                    Ok((session, manifest))
                };
                match found.await {
                    Ok(found) => return Ok(found),
                    Err(e) => last = e,
                }
            }
            Err(last)
        });
        let (session, manifest) = found?;
        Ok((Reader { runner, session, retry: prepared.retry, report, stopped }, manifest))
    }

    /// A blob of at most `most` bytes whole, verified.
    ///
    /// # Errors
    /// When it is not there, is another one, or is longer.
    pub fn whole(&self, digest: &Digest, size: u64, most: u64) -> Result<Vec<u8>> {
        if size > most {
            let why = format!("blob {digest} has {size} bytes, and at most {most} are read");
            return Err(Error::new(Kind::Registry, why));
        }
        let mut bytes = Vec::new();
        self.blob(digest, size, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        verify("blob", digest, &bytes)?;
        Ok(bytes)
    }

    /// Passes on the bytes of a blob, which are not verified.
    ///
    /// # Errors
    /// When it is not there or has another size in bytes; those of `to`.
    pub fn blob(&self, digest: &Digest, size: u64, to: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.runner.run(self.stopped, async {
            let (sender, mut pieces) = mpsc::channel(CHANNEL);
            let mut download = Download { session: &self.session, digest, size, position: 0 };
            let mut tries = Tries::new(self.retry);
            let sending = async {
                let sent = download.run(&mut tries, &sender, self.report, &mut |_| {}).await;
                drop(sender);
                sent
            };
            let taking = async {
                while let Some(Part::Bytes(bytes)) = pieces.recv().await {
                    to(&bytes)?;
                }
                Ok(())
            };
            let (sent, taken) = tokio::join!(sending, taking);
            taken.and(sent)
        })
    }
}

async fn named(session: &Session, prepared: &Prepared, report: &dyn Fn(Event)) -> Result<Vec<u8>> {
    let asked = &session.endpoint.reference;
    let what = asked.asked_for();
    let (bytes, kind) = documents::manifest(session, prepared.retry, report, what, asked.digest()).await?;
    let name = asked.to_string();
    if !manifest::is_sent_as_index(kind.as_deref()) {
        return Ok(bytes);
    }
    let Document::Index(entries) = manifest::parse(&name, kind.as_deref(), &bytes)? else { return Ok(bytes) };
    let wanted = choice::refined(&prepared.platform);
    let digest = manifest::select(&name, &entries, &wanted, &prepared.platform)?;
    Ok(documents::manifest(session, prepared.retry, report, digest.as_str(), Some(&digest)).await?.0)
}
