//! What lists say: those of the store, and those of registries.

use super::source::{document, remote};
use crate::engine::Engine;
use crate::engine::images::pull::Message;
use crate::error::{Context, Error, Kind, Result};
use crate::image::index::is_index;
use crate::image::{Digest, Image, Index, PlatformOf, Reference};
use crate::registry::{PullRequest, RemoteDocument};
use crate::storage::archive::Manifest;
use crate::storage::images::{Found, List};

/// A manifest or an index, and where it is from.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The name it was found under, if any.
    pub reference: Option<Reference>,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Which machine it is for, as the index says that it was found in.
    pub platform: Option<PlatformOf>,
    /// The document.
    pub text: String,
}

impl Inspected {
    /// Whether it is an index.
    pub fn is_index(&self) -> bool {
        is_index(&self.media_type)
    }
}

impl From<RemoteDocument> for Inspected {
    fn from(remote: RemoteDocument) -> Inspected {
        Inspected {
            reference: Some(remote.reference),
            digest: remote.digest,
            media_type: remote.media_type,
            platform: None,
            text: remote.text,
        }
    }
}

impl Engine<'_> {
    /// What a name means: a list of the store, what a registry has, or an image of the store, in this order; an image
    /// without a name in a registry is that. With `pushed`, what a registry has comes before a list with images that were
    /// made here: it has other digests there, as layers are compressed on their way.
    ///
    /// # Errors
    /// When nothing is called so.
    pub fn inspect_list(
        &self,
        text: &str,
        pushed: bool,
        registry: &PullRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Inspected> {
        let remote_only = text.strip_prefix("docker://");
        let here = match remote_only {
            None => self.store.images().find_any(text)?,
            Some(_) => None,
        };
        let image = match here {
            Some(Found::List(list)) => {
                let made_here = list.parts.iter().any(|part| part.source.is_none());
                let name = list.reference.as_ref().filter(|name| name.registry() != Some("localhost"));
                return match name.filter(|_| pushed && made_here) {
                    Some(name) => document(self, (name, false), registry, report)
                        .map(Inspected::from)
                        .or_else(|_| of_list(&list)),
                    None => of_list(&list),
                };
            }
            Some(Found::Image(image)) => Some(image),
            None => None,
        };
        // What was pulled may be one of several in the registry; what was made here is in none.
        let name = match &image {
            None => remote_only.unwrap_or(text).parse::<Reference>()?,
            Some(image) => match &image.reference {
                Some(name) if name.registry() != Some("localhost") => name.clone(),
                _ => return self.of_image(image),
            },
        };
        let remote = match (document(self, (&name, false), registry, report), image) {
            (Ok(remote), _) => remote,
            (Err(_), Some(image)) => return self.of_image(&image),
            (Err(e), None) => return Err(e),
        };
        Ok(remote.into())
    }

    /// The digest of the manifest that a registry has under a name for the platform of the request.
    ///
    /// # Errors
    /// When no registry has it.
    pub fn digest_in_registry(
        &self,
        name: &Reference,
        registry: &PullRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Digest> {
        let found = remote(self, name, false, registry, report)?;
        let none = || Error::new(Kind::NotFound, format!("{name} has no image"));
        found.into_iter().next().map(|found| found.entry.digest).ok_or_else(none)
    }

    /// The manifests that an index names, each as the store or its registry has it.
    ///
    /// # Errors
    /// When one is not to be had.
    pub fn inspect_entries(
        &self,
        whole: &Inspected,
        registry: &PullRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Vec<Inspected>> {
        let index = Index::parse("the index", whole.text.as_bytes())?;
        let list = match whole.reference.as_ref().map(|name| self.store.images().find_any(&name.to_string()))
        {
            Some(Ok(Some(Found::List(list)))) => Some(list),
            _ => None,
        };
        let mut all = Vec::new();
        for entry in index.manifests {
            let source =
                list.as_ref().and_then(|list| list.part(&entry.digest)).and_then(|part| part.source.as_ref());
            let named =
                source.or(whole.reference.as_ref()).map(|name| name.with_digest(entry.digest.clone()));
            let text = match (self.store.blobs().read(&entry.digest)?, &named) {
                (Some(bytes), _) => text(&entry.digest, bytes)?,
                (None, Some(name)) => document(self, (name, false), registry, report)?.text,
                (None, None) => {
                    return Err(Error::new(Kind::NotFound, format!("manifest {} is not here", entry.digest)));
                }
            };
            all.push(Inspected {
                reference: named,
                digest: entry.digest,
                media_type: entry.media_type,
                platform: entry.platform,
                text,
            });
        }
        Ok(all)
    }

    fn of_image(&self, image: &Image) -> Result<Inspected> {
        let lost =
            || Error::new(Kind::NotFound, format!("the manifest of image {} is missing", image.id.short()));
        let bytes = self.store.blobs().read(&image.manifest)?.ok_or_else(lost)?;
        let media_type = Manifest::parse(image.manifest.as_str(), &bytes)?.recorded_type();
        Ok(Inspected {
            reference: image.reference.clone(),
            digest: image.manifest.clone(),
            media_type: media_type.to_owned(),
            platform: None,
            text: text(&image.manifest, bytes)?,
        })
    }
}

fn of_list(list: &List) -> Result<Inspected> {
    Ok(Inspected {
        reference: list.reference.clone(),
        digest: list.digest.clone(),
        media_type: list.index.own_type().to_owned(),
        platform: None,
        text: text(&list.digest, list.index.bytes()?)?,
    })
}

fn text(digest: &Digest, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).context(Kind::Image, || format!("read manifest {digest}"))
}
