//! Pushing images to a registry, and to where a transport leads.

use crate::engine::Engine;
use crate::error::{Error, Kind, Result, phrases};
use crate::image::{Image, Reference};
use crate::registry::{Prepared, PullRequest};
use crate::storage::archive::OutgoingForm;
use crate::storage::events::{Action, Event};

pub(in crate::engine) mod blobs;
mod file;
mod leaf;
mod message;
mod whole;

pub use file::FileRequest;
pub use message::{Layer, Message};
use whole::Whole;
pub use whole::{MakeIndex, Pushed};

/// How images are pushed.
#[derive(Debug, Clone, Default)]
pub struct PushRequest {
    /// How to talk to the registry; the platform says nothing here.
    pub registry: PullRequest,
    /// What the image is to be there.
    pub form: OutgoingForm,
}

impl Engine<'_> {
    /// Pushes an image to a name, which has a registry.
    ///
    /// # Errors
    /// The image is not whole here, the name is blocked, the registry refuses. Then the name means there what it meant
    /// before.
    pub fn push(
        &self,
        image: &Image,
        to: &Reference,
        request: &PushRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Pushed> {
        let pushed = self.push_whole(
            &Whole { images: std::slice::from_ref(image), index: None },
            to,
            request,
            report,
        )?;
        let told = Event::image_named(Action::Push, image.id.as_str(), &pushed.reference.to_string());
        self.store.events().emit(told);
        Ok(pushed)
    }

    /// Pushes images by their digests, then an index of them to a name.
    ///
    /// # Errors
    /// As [`Engine::push`].
    pub fn push_index(
        &self,
        images: &[Image],
        index: MakeIndex<'_>,
        to: &Reference,
        request: &PushRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Pushed> {
        let pushed = self.push_whole(&Whole { images, index: Some(index) }, to, request, report)?;
        let told = Event::image_named(Action::Push, pushed.digest.as_str(), &pushed.reference.to_string());
        self.store.events().emit(told);
        Ok(pushed)
    }

    /// The tags of a repository that are here, sorted.
    ///
    /// # Errors
    /// `Usage` for a name with a tag or digest; `NotFound` when there are none.
    pub fn tags_here(&self, repository: &Reference) -> Result<Vec<Reference>> {
        if repository.tag().is_some() || repository.digest().is_some() {
            return Err(Error::new(Kind::Usage, "tag can't be used with --all-tags/-a")
                .hint("Leave out the tag with --all-tags."));
        }
        let wanted = repository.repository();
        let images = self.store.images().list_with_lists()?;
        let names = images.into_iter().flat_map(|listed| listed.names);
        let mut tags: Vec<Reference> =
            names.filter(|name| name.digest().is_none() && name.repository() == wanted).collect();
        tags.sort();
        if tags.is_empty() {
            return Err(phrases::no_image_to_push(&wanted).hint("List the images: coracle images"));
        }
        Ok(tags)
    }

    /// As [`Engine::prepare`], for a push.
    ///
    /// # Errors
    /// As there; a name without a registry.
    pub fn prepare_push(&self, to: &Reference, request: &PullRequest) -> Result<Prepared> {
        if to.registry().is_none() {
            return Err(Error::new(Kind::Usage, format!("{to} names no registry to push to"))
                .hint("Name it: coracle push IMAGE REGISTRY/NAME:TAG"));
        }
        Prepared::to_push(&self.places(), to, request)
    }

    fn push_whole(
        &self,
        whole: &Whole<'_>,
        to: &Reference,
        request: &PushRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Pushed> {
        let prepared = self.prepare_push(to, &request.registry)?;
        leaf::push(self.store, &prepared, whole, request.form, report)
    }
}
