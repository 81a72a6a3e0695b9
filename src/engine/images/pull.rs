//! Pulling missing or newer images from a registry, and images from where a transport leads.

use crate::engine::Engine;
use crate::error::{Error, Kind, Result, phrases};
use crate::image::{Image, Location, Platform, Reference};
use crate::registry::{self, Prepared, PullRequest};
use crate::storage::events::{Action, Event};
use crate::storage::images::{Found, Instance, List};
use std::collections::HashSet;

mod file;
mod leaf;
mod message;

pub use message::Message;

/// When an image is pulled although it may be here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Every time.
    Always,
    /// When the image is not here.
    #[default]
    Missing,
    /// Never.
    Never,
    /// If the registry has another one; if it does not answer, the local one is used.
    Newer,
}

/// Which image is wanted, and how it is had.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// When it is pulled.
    pub policy: PullPolicy,
    /// The platform that was asked for, if one was; an image for another one is not the one.
    pub platform: Option<Platform>,
    /// How to talk to the registry.
    pub request: PullRequest,
}

impl Engine<'_> {
    /// Returns the image that `text` names (a name, an id or the beginning of one), pulling it first if the
    /// policy says so. A transport leads to an image elsewhere, which is brought here whatever the policy: that is
    /// about registries.
    ///
    /// # Errors
    /// It is not here and may not be pulled, or could not be pulled.
    pub fn ensure(&self, text: &str, wanted: &Wanted, report: &mut dyn FnMut(Message)) -> Result<Image> {
        match Location::of(text)? {
            None => {}
            Some(Location::Stored(name)) => return self.store.images().need(&name),
            Some(Location::File(location)) => {
                let platform = wanted.platform.clone().unwrap_or_else(Platform::host);
                let pulled = file::pull(self, &location, &platform, report);
                let image = pulled.inspect_err(|error| self.tell_failed(text, error))?;
                self.store.events().emit(Event::image_named(Action::Pull, image.id.as_str(), text));
                if wanted.platform.is_some() && !is_for(&image, &platform) {
                    let (os, architecture) = (&image.config.os, &image.config.architecture);
                    report(Message::Event(registry::Event::Warning(format!(
                        "image platform ({os}/{architecture}) does not match the expected platform ({platform})"
                    ))));
                }
                return Ok(image);
            }
        }
        let platform = wanted.platform.as_ref();
        let here = match wanted.policy {
            PullPolicy::Always => None,
            _ => match self.store.images().find_any(text)? {
                Some(Found::List(list)) => return self.of_list((text, &list), wanted, report),
                Some(Found::Image(image)) => {
                    Some(*image).filter(|image| platform.is_none_or(|p| is_for(image, p)))
                }
                None => None,
            },
        };
        match &here {
            Some(image) => log::debug!("image {text} is here: {}", image.id.short()),
            None => log::debug!("image {text} is not here, or cannot be used from here"),
        }
        match (wanted.policy, here) {
            (PullPolicy::Missing | PullPolicy::Never, Some(image)) => Ok(image),
            (PullPolicy::Never, None) => {
                Err(phrases::no_image(text).hint(format!("Fetch it: coracle pull {text}")))
            }
            (PullPolicy::Newer, Some(image)) => match self.pull(text, &wanted.request, report) {
                Ok(newer) => Ok(newer),
                Err(e) => {
                    log::info!("{e}; using the image that is here");
                    Ok(image)
                }
            },
            (_, _) => self.pull(text, &wanted.request, report),
        }
    }

    /// The image that a list has for the platform. One that only a registry has is pulled from there; the list stays
    /// what it is.
    fn of_list(
        &self,
        (text, list): (&str, &List),
        wanted: &Wanted,
        report: &mut dyn FnMut(Message),
    ) -> Result<Image> {
        let images = self.store.images();
        match images.instance(list, wanted.platform.as_ref())? {
            Instance::Elsewhere { digest, source: Some(source) } if wanted.policy != PullPolicy::Never => {
                let name = source.with_digest(digest).to_string();
                // It may have been pulled before.
                match images.find(&name)? {
                    Some(image) => Ok(image),
                    None => self.pull(&name, &wanted.request, report),
                }
            }
            instance => instance.need(text),
        }
    }

    pub(in crate::engine) fn pull(
        &self,
        text: &str,
        request: &PullRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Image> {
        let reference: Reference = text.parse()?;
        let prepared = self.prepare_admitted(&reference, request, report);
        let pulled = prepared.and_then(|prepared| {
            let pulled = leaf::pull(self.store, &prepared, report)?;
            if let Err(e) = prepared.keep_choice(&self.places()) {
                log::warn!("recording short-name alias {:?}: {}", reference.path(), e.in_one_line());
            }
            Ok(pulled)
        });
        let pulled = pulled.inspect_err(|error| self.tell_failed(text, error))?;
        let lost = || Error::new(Kind::Storage, format!("{pulled} was pulled, but has been removed again"));
        let image = self.store.images().find_reference(&pulled)?.ok_or_else(lost)?;
        let told = Event::image_named(Action::Pull, image.id.as_str(), &pulled.to_string());
        self.store.events().emit(told);
        Ok(image)
    }

    fn tell_failed(&self, text: &str, error: &Error) {
        let told = Event::image_named(Action::PullError, "", text);
        self.store.events().emit(Event { error: error.in_one_line(), ..told });
    }

    /// The tags of a repository, each once, in the registry's order; one that is not a valid name is kept as it is.
    ///
    /// # Errors
    /// `Usage` for a name with a tag or digest; `NotFound` when there are none; those of the registry.
    pub fn tags(
        &self,
        image: &Reference,
        request: &PullRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Vec<Result<Reference>>> {
        if image.tag().is_some() || image.digest().is_some() {
            return Err(Error::new(Kind::Usage, format!("{image} names a single image"))
                .hint("Leave out the tag with --all-tags."));
        }
        // As podman documents it, search registries are not consulted here.
        let image = image.with_registry();
        let mut seen = HashSet::new();
        let mut tags = leaf::tags(&self.prepare(&image, request)?, report)?;
        tags.retain(|tag| seen.insert(tag.clone()));
        if tags.is_empty() {
            return Err(Error::new(Kind::NotFound, format!("{} has no tags", image.repository())));
        }
        Ok(tags.iter().map(|tag| format!("{}:{tag}", image.repository()).parse()).collect())
    }

    /// What the policy lets be pulled: names that it does not reject and manifests with the signatures that it demands,
    /// which are verified before anything else is known of the image.
    fn admitted(&self, mut prepared: Prepared, report: &mut dyn FnMut(Message)) -> Result<Prepared> {
        prepared.obey_policy(&self.places())?;
        if !prepared.demands_signatures() {
            return Ok(prepared);
        }
        for (name, found) in leaf::signatures(&prepared, report)? {
            prepared.admit(&name, &found, || self.store.scratch())?;
        }
        Ok(prepared)
    }

    /// As [`Engine::prepare`], of those names only that the policy lets be used. Signatures that it demands are verified;
    /// no other manifest is accepted then.
    ///
    /// # Errors
    /// As there, and what the policy rejects.
    pub fn prepare_admitted(
        &self,
        reference: &Reference,
        request: &PullRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Prepared> {
        self.prepare(reference, request).and_then(|prepared| self.admitted(prepared, report))
    }

    /// What is needed to speak to the registries of a name. Helpers for credentials run in here, so this comes before the
    /// leaf (rule 1).
    ///
    /// # Errors
    /// Bad configuration or credential files, a blocked name.
    pub fn prepare(&self, reference: &Reference, request: &PullRequest) -> Result<Prepared> {
        Prepared::new(&self.places(), reference, request, self.choose)
    }
}

/// Whether an image is for a platform; one that says nothing of a variant is for all of them.
pub fn is_for(image: &Image, wanted: &Platform) -> bool {
    let config = &image.config;
    let variant = wanted.variant.as_deref().is_none_or(|w| config.variant.as_deref().is_none_or(|v| v == w));
    config.os == wanted.os && config.architecture == wanted.architecture && variant
}
