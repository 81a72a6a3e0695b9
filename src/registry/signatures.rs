//! Finds the signatures of images that the policy demands some of. Nothing is verified here.
//!
//! Theory of operation. Which manifest is pulled for a name is decided first, as a pull decides it; the signatures are
//! those of that manifest. Programs cannot be run in the process that does this, so it only gathers them: the caller
//! verifies, and the pull that follows takes that manifest and no other ([`Prepared::admit`]).

use super::answer::read_limited;
use super::blob::retrying;
use super::certs::HostCerts;
use super::client::{Tls, client};
use super::documents::{self, verify};
use super::event::Event;
use super::http::{Ask, Session};
use super::policy::Signatures;
use super::prepare::{Candidate, Prepared};
use super::retry::{RetryPolicy, Tries};
use super::runner::block_on;
use super::tls::{self, Trust};
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Reference};
use crate::sys::read;
use base64::Engine as _;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

/// Signatures of each kind that are looked at.
const COUNT_MAX: usize = 64;
/// Largest signature, in bytes.
const SIZE_MAX: u64 = 1 << 20;
/// The annotation of a layer that has the signature of its payload.
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// What such a payload is called.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The signatures of every name that must have some, as far as its registry answers; the names of others are left out.
/// Starts threads: to be called in a leaf.
///
/// # Errors
/// The last failure, if no name was found.
pub fn signatures(
    prepared: &Prepared,
    report: &dyn Fn(Event),
    stopped: &dyn Fn() -> bool,
) -> Result<Vec<(Reference, Signatures)>> {
    block_on(stopped, async {
        let (mut found, mut failure) = (Vec::new(), None);
        for candidate in prepared.candidates.iter().filter(|candidate| !candidate.demand.is_empty()) {
            for endpoint in &candidate.endpoints {
                let session = Session::open(endpoint).await;
                let gathered = match session {
                    Ok(session) => gather(prepared, candidate, &session, report).await,
                    Err(e) => Err(e),
                };
                match gathered {
                    Ok(signatures) => {
                        found.push((candidate.reference.clone(), signatures));
                        break;
                    }
                    Err(e) => failure = Some(e),
                }
            }
        }
        let others = prepared.candidates.iter().any(|candidate| candidate.demand.is_empty());
        match failure {
            Some(e) if found.is_empty() && !others => Err(e),
            _ => Ok(found),
        }
    })
}

async fn gather(
    prepared: &Prepared,
    candidate: &Candidate,
    session: &Session,
    report: &dyn Fn(Event),
) -> Result<Signatures> {
    let chosen = documents::chosen(session, &candidate.reference, prepared, report).await?;
    let manifest = Digest::sha256_of(&chosen.bytes);
    let mut found = Signatures { manifest, gpg: Vec::new(), sigstore: Vec::new() };
    if candidate.demand.wants_gpg() {
        found.gpg = match (held(session, &found.manifest, prepared.retry).await?, &candidate.lookaside.store)
        {
            (Some(held), _) => held,
            (None, Some(store)) => stored(store, &candidate.reference, &found.manifest).await?,
            (None, None) => Vec::new(),
        };
    }
    if candidate.demand.wants_sigstore() {
        if candidate.lookaside.attachments {
            found.sigstore = attached(session, &found.manifest, prepared.retry, report).await?;
        } else {
            log::warn!(
                "sigstore signatures of {} are not looked for: registries.d does not set use-sigstore-attachments",
                candidate.reference
            );
        }
    }
    Ok(found)
}

/// Signatures in a lookaside store: files or pages that are numbered from 1.
async fn stored(store: &str, image: &Reference, manifest: &Digest) -> Result<Vec<Vec<u8>>> {
    let bad = |why: &str| Error::new(Kind::Usage, format!("the lookaside {store:?} of registries.d {why}"));
    let base = Url::parse(store).map_err(|_| bad("is not a URL"))?;
    // Without the registry: a store is for one, unless names are unique.
    let place = format!("{}@{}", image.path(), manifest.as_str().replacen(':', "=", 1));
    let mut found = Vec::new();
    for number in 1..=COUNT_MAX {
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| bad("has no path"))?
            .pop_if_empty()
            .extend(place.split('/'))
            .push(&format!("signature-{number}"));
        let next = match url.scheme() {
            "file" => file(&url.to_file_path().map_err(|()| bad("is not the path of a directory"))?)?,
            "http" | "https" => page(&url).await?,
            _ => return Err(bad("is neither of file, nor of http or https")),
        };
        match next {
            Some(signature) => found.push(signature),
            None => break,
        }
    }
    Ok(found)
}

fn file(path: &std::path::Path) -> Result<Option<Vec<u8>>> {
    let failed = |e| Error::new(Kind::Host, format!("read signature {}", path.display())).caused_by(e);
    match std::fs::metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(e)),
        Ok(about) if !about.is_file() || about.len() > SIZE_MAX => {
            Err(Error::new(Kind::Host, format!("{} is not a signature", path.display())))
        }
        Ok(_) => read::settings(path).map(Some).map_err(failed),
    }
}

async fn page(url: &Url) -> Result<Option<Vec<u8>>> {
    let host = url.authority().to_owned();
    let tls = match url.scheme() {
        "https" => {
            let trust = Trust::new(&HostCerts::default()).map(Arc::new)?;
            Tls::checked(tls::configuration(trust, None)?)
        }
        _ => Tls::None,
    };
    let failed = |why: String| Error::new(Kind::Registry, format!("read signatures from {host}: {why}"));
    let client = client(&format!("the lookaside {host}"), &host, tls, false)?;
    let mut answer = client.get(url.clone()).send().await.map_err(|e| failed(super::answer::deepest(&e)))?;
    match answer.status() {
        StatusCode::NOT_FOUND => Ok(None),
        status if status.is_success() => {
            let body = read_limited(&mut answer, "a signature", SIZE_MAX).await;
            body.map(Some).map_err(|trouble| trouble.error)
        }
        // A store that cannot be read must not pass for an empty one.
        status => Err(failed(format!("it answers {}", status.as_u16()))),
    }
}

/// Signatures that the registry itself keeps (`X-Registry-Supports-Signatures`, as OpenShift has it); `None` if it keeps
/// none of any image.
async fn held(session: &Session, manifest: &Digest, retry: RetryPolicy) -> Result<Option<Vec<Vec<u8>>>> {
    #[derive(Deserialize)]
    struct List {
        signatures: Vec<Held>,
    }
    #[derive(Deserialize)]
    struct Held {
        #[serde(rename = "schemaVersion")]
        version: i64,
        #[serde(rename = "type")]
        kind: String,
        content: String,
    }
    let mut tries = Tries::new(retry);
    let body = retrying(&mut tries, &|_| {}, async || {
        let Some(mut answer) = session.get_signatures(manifest).await? else { return Ok(None) };
        read_limited(&mut answer, "the list of signatures", SIZE_MAX).await.map(Some)
    })
    .await?;
    let Some(body) = body else { return Ok(None) };
    let list: List = serde_json::from_slice(&body).map_err(|e| {
        Error::new(Kind::Registry, format!("registry {} sent no signatures", session.endpoint.host()))
            .caused_by(e)
    })?;
    let known = list.signatures.iter().filter(|held| held.version == 2 && held.kind == "atomic");
    let bytes = known.filter_map(|held| base64::engine::general_purpose::STANDARD.decode(&held.content).ok());
    Ok(Some(bytes.take(COUNT_MAX).collect()))
}

/// Signatures in the image's repository, as the layers of an image that is tagged by the digest of the one they sign.
async fn attached(
    session: &Session,
    manifest: &Digest,
    retry: RetryPolicy,
    report: &dyn Fn(Event),
) -> Result<Vec<(Vec<u8>, String)>> {
    #[derive(Deserialize)]
    struct Image {
        layers: Vec<Layer>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Layer {
        media_type: String,
        digest: Digest,
        #[serde(default)]
        annotations: BTreeMap<String, String>,
    }
    let tag = format!("{}.sig", manifest.as_str().replacen(':', "-", 1));
    let bytes = match documents::manifest(session, retry, report, &tag, None).await {
        Ok((bytes, _)) => bytes,
        Err(e) if e.kind() == Kind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let image: Image = serde_json::from_slice(&bytes).map_err(|e| {
        Error::new(Kind::Image, format!("the signatures in {tag} are malformed")).caused_by(e)
    })?;
    let mut found = Vec::new();
    for layer in image.layers.into_iter().filter(|layer| layer.media_type == PAYLOAD).take(COUNT_MAX) {
        let Some(signature) = layer.annotations.get(ANNOTATION) else { continue };
        let mut tries = Tries::new(retry);
        let what = format!("blobs/{}", layer.digest);
        let payload = retrying(&mut tries, report, async || {
            let mut answer = session.get(&what, Ask::default()).await?;
            read_limited(&mut answer, "a signed payload", SIZE_MAX).await
        })
        .await?;
        verify("payload", &layer.digest, &payload)?;
        found.push((payload, signature.clone()));
    }
    Ok(found)
}
