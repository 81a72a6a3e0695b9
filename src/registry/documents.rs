//! Manifests, indexes and configurations: small documents, fetched whole and verified.

use super::answer::read_limited;
use super::blob::retrying;
use super::endpoint::Endpoint;
use super::event::Event;
use super::http::{Ask, Session};
use super::manifest::{self, CONFIG_MAX, ImageManifest, MANIFEST_MAX};
use super::prepare::Prepared;
use super::retry::{RetryPolicy, Tries, Trouble};
use super::runner::block_on;
use crate::error::{Error, Kind, Result};
use crate::image::index::is_index;
use crate::image::{Digest, Reference, choice};
use serde::{Deserialize, Serialize};

/// Indexes within indexes that are followed.
const NESTING_MAX: usize = 3;

/// A manifest or an index, as a registry has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoteDocument {
    /// The full name it was found under.
    pub reference: Reference,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The document, byte for byte.
    pub text: String,
    /// The configuration of the image that it is, if that was asked for.
    pub config: Option<String>,
}

/// Fetches what a name means, an index as such. `with_config` wants the configuration too, where it is an image. Starts
/// threads: to be called in a leaf.
///
/// # Errors
/// No host has it, or it is malformed.
pub fn document(
    prepared: &Prepared,
    with_config: bool,
    report: &dyn Fn(Event),
    stopped: &dyn Fn() -> bool,
) -> Result<RemoteDocument> {
    block_on(stopped, async {
        let mut last = Error::new(Kind::Usage, "nothing to ask");
        for candidate in &prepared.candidates {
            for endpoint in &candidate.endpoints {
                match one(endpoint, (&candidate.reference, with_config), prepared.retry, report).await {
                    Ok(found) => return Ok(found),
                    Err(e) => last = e,
                }
            }
        }
        Err(last)
    })
}

async fn one(
    endpoint: &Endpoint,
    (reference, with_config): (&Reference, bool),
    retry: RetryPolicy,
    report: &dyn Fn(Event),
) -> Result<RemoteDocument> {
    let session = Session::open(endpoint).await?;
    let asked = &session.endpoint.reference;
    let (bytes, content_type) = manifest(&session, retry, report, asked.asked_for(), asked.digest()).await?;
    let media_type = manifest::media_type(content_type.as_deref(), &bytes);
    let name = reference.to_string();
    let config = match manifest::parse(&name, content_type.as_deref(), &bytes) {
        Ok(manifest::Document::Image(image)) if with_config => {
            Some(text(&name, config(&session, retry, report, &image).await?)?)
        }
        // One that is no container image can be looked at, but not used.
        Err(e) if with_config || is_index(&media_type) => return Err(e),
        _ => None,
    };
    let digest = asked.digest().cloned().unwrap_or_else(|| Digest::sha256_of(&bytes));
    Ok(RemoteDocument { reference: reference.clone(), digest, media_type, text: text(&name, bytes)?, config })
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String> {
    let malformed = |_| Error::new(Kind::Image, format!("a document of {name} is not UTF-8"));
    String::from_utf8(bytes).map_err(malformed)
}

/// The manifest that a name means for a platform.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Its bytes, verified.
    pub(super) bytes: Vec<u8>,
    /// The type they were sent as.
    pub(super) content_type: Option<String>,
    /// The same, read.
    pub(super) image: ImageManifest,
    /// The index that the name stands for, if it does.
    pub(super) index: Option<Digest>,
}

/// Follows what the session's reference means through indexes, to the manifest for the platform; `name` is for messages.
///
/// # Errors
/// When the registry does not send what was asked for, or there is nothing for the platform.
pub(super) async fn chosen(
    session: &Session,
    name: &Reference,
    prepared: &Prepared,
    report: &dyn Fn(Event),
) -> Result<Chosen> {
    let (name, asked) = (name.to_string(), &session.endpoint.reference);
    let (mut what, mut promised, mut index) = (asked.asked_for().to_owned(), asked.digest().cloned(), None);
    let wanted = choice::refined(&prepared.platform);
    for _ in 0..NESTING_MAX {
        let (bytes, content_type) =
            manifest(session, prepared.retry, report, &what, promised.as_ref()).await?;
        match manifest::parse(&name, content_type.as_deref(), &bytes)? {
            manifest::Document::Image(image) => return Ok(Chosen { bytes, content_type, image, index }),
            manifest::Document::Index(entries) => {
                let digest = manifest::select(&name, &entries, &wanted, &prepared.platform)?;
                index.get_or_insert(Digest::sha256_of(&bytes));
                what = digest.to_string();
                promised = Some(digest);
            }
        }
    }
    Err(Error::new(Kind::Image, format!("{name} is an index of indexes of indexes")).naming_image())
}

/// A manifest's bytes, verified, and the type they were sent as.
///
/// # Errors
/// When the registry does not send what was asked for.
pub(super) async fn manifest(
    session: &Session,
    retry: RetryPolicy,
    report: &dyn Fn(Event),
    what: &str,
    promised: Option<&Digest>,
) -> Result<(Vec<u8>, Option<String>)> {
    let accept = manifest::accept();
    let ask = Ask { accept: Some(&accept), ..Ask::default() };
    let mut tries = Tries::new(retry);
    let (bytes, content_type, header) = retrying(&mut tries, report, async || {
        let mut response = session.get(&format!("manifests/{what}"), ask).await?;
        let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (content_type, header) = (text("content-type"), text("docker-content-digest"));
        let named = format!("the manifest of {}", session.endpoint.reference);
        let bytes = read_limited(&mut response, &named, MANIFEST_MAX).await?;
        Ok((bytes, content_type, header))
    })
    .await?;
    let header = header.and_then(|h| h.parse::<Digest>().ok());
    for digest in promised.into_iter().chain(&header) {
        verify("manifest", digest, &bytes)?;
    }
    Ok((bytes, content_type))
}

/// The bytes of an image's configuration, verified.
///
/// # Errors
/// When the registry does not send what was asked for.
pub(super) async fn config(
    session: &Session,
    retry: RetryPolicy,
    report: &dyn Fn(Event),
    image: &ImageManifest,
) -> Result<Vec<u8>> {
    let what = format!("blobs/{}", image.config);
    let mut tries = Tries::new(retry);
    let bytes = retrying(&mut tries, report, async || {
        let mut response = session.get(&what, Ask::default()).await?;
        let named = format!("the configuration of {}", session.endpoint.reference);
        let bytes = read_limited(&mut response, &named, CONFIG_MAX).await?;
        if (bytes.len() as u64) < image.config_size {
            let message = format!("configuration {} was incomplete", image.config);
            return Err(Trouble::passing(Error::new(Kind::Registry, message)));
        }
        Ok(bytes)
    })
    .await?;
    verify("configuration", &image.config, &bytes)?;
    Ok(bytes)
}

/// Compares bytes with a promised digest.
///
/// # Errors
/// When they are others.
pub(super) fn verify(what: &str, digest: &Digest, bytes: &[u8]) -> Result<()> {
    let found = digest.of_same_kind(bytes);
    if found == *digest {
        return Ok(());
    }
    Err(Error::new(Kind::Image, format!("{what} {digest} is not what was promised: its digest is {found}"))
        .hint("The registry or a proxy in between sent wrong data: try again later."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_10_wrong_digests_are_refused() {
        assert!(verify("x", &Digest::sha256_of(b"a"), b"a").is_ok());
        assert!(verify("x", &Digest::sha256_of(b"a"), b"b").is_err());
    }
}
