//! Pushing lists: their images by digest, then the index that names them.

use super::find;
use crate::engine::Engine;
use crate::engine::images::pull::Message as PullMessage;
use crate::engine::images::push::{Message, PushRequest, Pushed};
use crate::engine::images::remove;
use crate::engine::images::save::save_list;
use crate::error::{Error, Kind, Result};
use crate::image::{
    Digest, FileForm, FileLocation, Image, IndexEntry, Member, Platform, PlatformOf, Reference,
};
use crate::registry::PullRequest;
use crate::storage::archive::{Descriptor, Family, OutgoingForm, WholeList};
use crate::storage::events::{Action, Event};
use crate::storage::images::List;

/// What of a list is pushed along with it.
#[derive(Debug)]
pub struct Gathered {
    list: List,
    /// The images to push, each with the digest of its manifest in the list.
    images: Vec<(Digest, Image)>,
    /// Those that were fetched to be pushed, by id.
    fetched: Vec<Digest>,
}

impl Gathered {
    /// The images, and the digests that the list has of their manifests.
    pub(super) fn images(&self) -> (Vec<&Digest>, Vec<Image>) {
        self.images.iter().map(|(digest, image)| (digest, image.clone())).unzip()
    }

    /// The index, now that the manifests have become these.
    pub(super) fn index(&self, family: Option<Family>, made: &[Descriptor]) -> Result<(String, Vec<u8>)> {
        index_for(&self.list, family, &self.images().0, made)
    }
}

impl Engine<'_> {
    /// Gathers what a list needs to be pushed to a name, or to a file without one. With `all` these are its images; those that only another
    /// registry or repository has are fetched. Without, all of them are there already.
    ///
    /// # Errors
    /// A list that is not here, an image that is not to be had, a list in the list; what was fetched is gone again then.
    pub fn gather_list(
        &self,
        text: &str,
        to: Option<&Reference>,
        all: bool,
        request: &PullRequest,
        report: &mut dyn FnMut(PullMessage),
    ) -> Result<Gathered> {
        let list = find(self.store, text)?;
        match all {
            true => {
                let name = list.called();
                self.gather((list, Some(&name)), to, request, report)
            }
            false => Ok(Gathered { list, images: Vec::new(), fetched: Vec::new() }),
        }
    }

    /// The same of a list that need not be here; it has a name or an id if it is.
    ///
    /// # Errors
    /// As there.
    pub(super) fn gather(
        &self,
        (list, here): (List, Option<&str>),
        to: Option<&Reference>,
        request: &PullRequest,
        report: &mut dyn FnMut(PullMessage),
    ) -> Result<Gathered> {
        let entries = list.index.manifests.clone();
        let mut gathered = Gathered { list, images: Vec::new(), fetched: Vec::new() };
        for entry in &entries {
            match self.gather_one(&mut gathered, entry, to, request, report) {
                Ok(Some(image)) => gathered.images.push((entry.digest.clone(), image)),
                Ok(None) => {}
                Err(error) => {
                    self.release(&gathered);
                    return Err(match here {
                        Some(name) => error.hint(format!(
                            "Leave it out of the list: coracle manifest remove {name} {}",
                            entry.digest
                        )),
                        None => error,
                    });
                }
            }
        }
        Ok(gathered)
    }

    /// One image; `None` when it is where the list goes.
    fn gather_one(
        &self,
        gathered: &mut Gathered,
        entry: &IndexEntry,
        to: Option<&Reference>,
        request: &PullRequest,
        report: &mut dyn FnMut(PullMessage),
    ) -> Result<Option<Image>> {
        let images = self.store.images();
        if let Some(image) = images.image_of(&gathered.list, &entry.digest)? {
            return Ok(Some(image));
        }
        let digest = &entry.digest;
        let source = gathered.list.part(digest).and_then(|part| part.source.as_ref());
        let source = source
            .ok_or_else(|| Error::new(Kind::NotFound, format!("image {digest} of the list is not here")))?;
        if to.is_some_and(|to| source.repository() == to.repository()) {
            return Ok(None);
        }
        if entry.is_index() {
            // Pulled, it would be one of its images.
            let why = format!(
                "{digest} in the list is a list of {} itself, which is not copied",
                source.repository()
            );
            return Err(Error::new(Kind::Usage, why));
        }
        let name = source.with_digest(digest.clone());
        if let Some(image) = images.find(&name.to_string())? {
            return Ok(Some(image));
        }
        let platform = entry.platform.as_ref().map_or_else(Platform::host, platform);
        // The credentials are those for where it goes.
        let same = to.is_none_or(|to| source.registry() == to.registry());
        let credentials = request.credentials.clone().filter(|_| same);
        let request = PullRequest { platform, credentials, ..request.clone() };
        let before: Vec<Digest> = images.list()?.into_iter().map(|listed| listed.image.id).collect();
        let image = self.pull(&name.to_string(), &request, report)?;
        if !before.contains(&image.id) {
            gathered.fetched.push(image.id.clone());
        }
        Ok(Some(image))
    }

    /// Pushes a list with what was gathered, to a name that has a registry.
    ///
    /// # Errors
    /// Those of [`Engine::push_index`].
    pub fn push_list(
        &self,
        gathered: &Gathered,
        to: &Reference,
        request: &PushRequest,
        family: Option<Family>,
        report: &mut dyn FnMut(Message),
    ) -> Result<Pushed> {
        let images = gathered.images().1;
        // Manifests of layers that are compressed on their way are others than here.
        let make = |made: &[Descriptor]| gathered.index(family, made);
        let pushed = self.push_index(&images, &make, to, request, report)?;
        let noted =
            self.store.images().note_pushed_list(&gathered.list.id, &pushed.reference, &pushed.digest);
        if let Err(error) = noted {
            log::warn!("the list was pushed, and that could not be noted: {}", error.in_one_line());
        }
        Ok(pushed)
    }

    /// Writes a list with everything that it has to a file or a directory, with its layers in another form if one is given.
    /// An OCI image layout keeps what it has; of the others the list takes the place. Gives the digest of the index.
    ///
    /// # Errors
    /// docker's archive, which has no lists; an image that is not whole here, a place that cannot be written.
    pub fn push_list_to_file(
        &self,
        gathered: &Gathered,
        to: &FileLocation,
        form: Option<OutgoingForm>,
    ) -> Result<Digest> {
        if to.form == FileForm::DockerArchive {
            return Err(Error::new(Kind::Usage, format!("{to}: this transport has single images only"))
                .hint("Push the list to oci:DIR, oci-archive:FILE, dir:DIR or a registry."));
        }
        // As it is written: what a layout calls its images need be no name here.
        let name = match &to.member {
            Some(Member::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        let images: Vec<&Image> = gathered.images.iter().map(|(_, image)| image).collect();
        // A directory has manifests of both families.
        let family =
            if to.form == FileForm::Dir { form.and_then(|form| form.family) } else { Some(Family::Oci) };
        let make = |made: &[Descriptor]| gathered.index(family, made);
        let list = WholeList { images: &images, name, make: &make, form };
        let digest = save_list(self.store, &list, to)?;
        let told = Event::image_named(Action::Push, gathered.list.id.as_str(), &to.to_string());
        self.store.events().emit(told);
        Ok(digest)
    }

    /// Removes what was fetched to be pushed.
    pub fn release(&self, gathered: &Gathered) {
        for image in &gathered.fetched {
            if let Err(error) = remove::forget(self.store, image.as_str()) {
                log::info!("image {} is left: {}", image.short(), error.in_one_line());
            }
        }
    }
}

/// The index of a list whose manifests, in the order of `digests`, have become these.
fn index_for(
    list: &List,
    family: Option<Family>,
    digests: &[&Digest],
    made: &[Descriptor],
) -> Result<(String, Vec<u8>)> {
    let mut index = match family {
        None => list.index.clone(),
        Some(Family::Oci) => list.index.for_oci(),
        Some(Family::Docker) => list.index.for_docker(),
    };
    for entry in &mut index.manifests {
        let at = digests.iter().position(|digest| **digest == entry.digest);
        if let Some(made) = at.and_then(|at| made.get(at)) {
            entry.media_type.clone_from(&made.media_type);
            entry.digest.clone_from(&made.digest);
            entry.size = made.size;
        }
    }
    Ok((index.own_type().to_owned(), index.bytes()?))
}

fn platform(of: &PlatformOf) -> Platform {
    Platform { os: of.os.clone(), architecture: of.architecture.clone(), variant: of.variant.clone() }
}
