//! Lists that are made of what registries have and are not kept here (docker buildx imagetools).

use super::inspect::Inspected;
use super::push::Gathered;
use super::source::{document, entries_of};
use crate::engine::Engine;
use crate::engine::images::pull::Message as PullMessage;
use crate::engine::images::push::{Message, PushRequest, Pushed};
use crate::error::{Error, Kind, Result};
use crate::image::index::is_index;
use crate::image::{Digest, Index, Platform, PlatformOf, Reference};
use crate::registry::PullRequest;
use crate::storage::archive::Descriptor;
use crate::storage::images::List;
use std::collections::BTreeMap;

/// The platform of what is for none.
const UNKNOWN: &str = "unknown";

/// What a list is made of.
#[derive(Debug)]
pub struct CombineRequest<'a> {
    /// Names in registries, in this order; of lists everything that they have. One list alone is copied byte for byte if
    /// nothing else is asked for.
    pub sources: &'a [Reference],
    /// Annotations of the whole, in an OCI index only.
    pub annotations: &'a BTreeMap<String, String>,
    /// Annotations of the entries for a platform, or of all entries.
    pub entry_annotations: &'a [(Option<Platform>, String, String)],
    /// Only entries for these platforms, if any are named.
    pub platforms: &'a [Platform],
    /// How to talk to registries.
    pub registry: &'a PullRequest,
}

/// What a registry has under a name, with the configurations of its images if they were asked for.
#[derive(Debug)]
pub struct InRegistry {
    /// The manifest or index.
    pub document: Inspected,
    /// The images' configurations as JSON, each with the platform of its entry; of an image alone, one without.
    pub configs: Vec<(Option<PlatformOf>, String)>,
}

/// A list that is nowhere yet.
#[derive(Debug)]
pub struct Combined {
    list: List,
    /// The bytes of the list that it is a copy of.
    copied: Option<String>,
}

impl Combined {
    /// Its document.
    ///
    /// # Errors
    /// None in practice.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        match &self.copied {
            Some(text) => Ok(text.clone().into_bytes()),
            None => self.list.index.bytes(),
        }
    }
}

impl Engine<'_> {
    /// Asks a registry only.
    ///
    /// # Errors
    /// A name that no registry has.
    pub fn inspect_in_registry(
        &self,
        name: &Reference,
        with_configs: bool,
        registry: &PullRequest,
        report: &mut dyn FnMut(PullMessage),
    ) -> Result<InRegistry> {
        let found = document(self, (name, with_configs), registry, report)?;
        let mut configs = Vec::new();
        if let Some(config) = &found.config {
            configs.push((None, config.clone()));
        } else if with_configs && is_index(&found.media_type) {
            let index = Index::parse(&found.reference.to_string(), found.text.as_bytes())?;
            // Attestations are no images.
            let images = index.manifests.into_iter().filter(|entry| {
                entry.platform.as_ref().is_some_and(|of| of.os != UNKNOWN && of.architecture != UNKNOWN)
            });
            for entry in images {
                let name = found.reference.with_digest(entry.digest.clone());
                let config = document(self, (&name, true), registry, report)?.config;
                configs.extend(config.map(|config| (entry.platform, config)));
            }
        }
        Ok(InRegistry { document: found.into(), configs })
    }

    /// Makes a list. Nothing is written anywhere.
    ///
    /// # Errors
    /// A name that no registry has, annotations of docker's lists, no entry that is wanted.
    pub fn combine(
        &self,
        request: &CombineRequest<'_>,
        report: &mut dyn FnMut(PullMessage),
    ) -> Result<Combined> {
        let plain = request.annotations.is_empty()
            && request.entry_annotations.is_empty()
            && request.platforms.is_empty();
        let (mut index, mut parts, mut copied) = (Index::default(), Vec::new(), None);
        for name in request.sources {
            let found = document(self, (name, true), request.registry, report)?;
            if plain && request.sources.len() == 1 && is_index(&found.media_type) {
                copied = Some((found.media_type.clone(), found.text.clone()));
            }
            for entry in entries_of(self, found, true, request.registry)? {
                entry.join(&mut index, &mut parts);
            }
        }
        let wanted = |of: &Option<PlatformOf>, platform: &Platform| {
            of.as_ref().is_some_and(|of| *of == PlatformOf::from(platform))
        };
        if !request.platforms.is_empty() {
            index.manifests.retain(|entry| request.platforms.iter().any(|p| wanted(&entry.platform, p)));
        }
        if index.manifests.is_empty() {
            return Err(Error::new(Kind::NotFound, "no image is left for the list")
                .hint("See what there is: coracle buildx imagetools inspect NAME"));
        }
        index.annotations.extend(request.annotations.clone());
        for (platform, key, value) in request.entry_annotations {
            for entry in &mut index.manifests {
                if platform.as_ref().is_none_or(|platform| wanted(&entry.platform, platform)) {
                    entry.annotations.insert(key.clone(), value.clone());
                }
            }
        }
        // Docker's list for docker's images alone, which has no annotations.
        let annotated =
            !index.annotations.is_empty() || index.manifests.iter().any(|e| !e.annotations.is_empty());
        let dockers = index.manifests.iter().all(|entry| entry.media_type.contains("docker"));
        if let Some((media_type, _)) = &copied {
            index.media_type.clone_from(media_type);
        } else if dockers && !annotated {
            index = index.for_docker();
        }
        let copied = copied.map(|(_, text)| text);
        let digest = match &copied {
            Some(text) => Digest::sha256_of(text.as_bytes()),
            None => Digest::sha256_of(&index.bytes()?),
        };
        // Its id is none of the store's.
        let list = List { id: digest.clone(), reference: None, digest, index, parts, lost: None };
        Ok(Combined { list, copied })
    }

    /// Pushes it to a name, which has a registry. Images that are in other repositories only are brought there.
    ///
    /// # Errors
    /// An image that is not to be had, a registry that refuses.
    pub fn push_combined(
        &self,
        combined: &Combined,
        to: &Reference,
        request: &PushRequest,
        pulled: &mut dyn FnMut(PullMessage),
        pushed: &mut dyn FnMut(Message),
    ) -> Result<Pushed> {
        let gathered = self.gather((combined.list.clone(), None), Some(to), &request.registry, pulled)?;
        let done = self.push_gathered(combined, &gathered, to, request, pushed);
        self.release(&gathered);
        done
    }

    fn push_gathered(
        &self,
        combined: &Combined,
        gathered: &Gathered,
        to: &Reference,
        request: &PushRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Pushed> {
        let (digests, images) = gathered.images();
        let make = |made: &[Descriptor]| {
            // What was pulled goes as it came.
            let same = made.len() == digests.len()
                && made.iter().zip(&digests).all(|(made, digest)| made.digest == **digest);
            match &combined.copied {
                Some(text) if same => {
                    Ok((combined.list.index.own_type().to_owned(), text.clone().into_bytes()))
                }
                _ => gathered.index(None, made),
            }
        };
        self.push_index(&images, &make, to, request, report)
    }
}
