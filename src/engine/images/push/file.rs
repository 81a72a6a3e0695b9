//! Pushing to a file or a directory, named by its transport.

use crate::engine::Engine;
use crate::engine::images::save::{self, Target};
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, FileForm, FileLocation, Image, Member, docker_name};
use crate::storage::archive::{self, Family, Item, OutgoingForm, SaveFormat};
use crate::storage::events::{Action, Event};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the image is to be there; layers stay as they are, if nothing else is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileRequest {
    /// Whose manifest it gets, in a `dir:` directory; the others have but one.
    pub family: Option<Family>,
    /// Compress plain layers, in a `dir:` directory.
    pub compress: bool,
    /// How layers are compressed, if they do not stay as they are; not in docker's archives.
    pub form: Option<OutgoingForm>,
}

impl Engine<'_> {
    /// Writes an image to a file or a directory. An OCI image layout keeps what it has; of the others the image takes the
    /// place. Gives the digest of the manifest; docker's archives have none.
    ///
    /// # Errors
    /// The image is not whole here, the place cannot be written or has other things. Then it has what it had before.
    pub fn push_to_file(
        &self,
        image: &Image,
        to: &FileLocation,
        request: FileRequest,
    ) -> Result<Option<Digest>> {
        let name = match &to.member {
            None => None,
            Some(Member::Name(name)) => Some(name.as_str()),
            Some(Member::At(_)) => {
                return Err(Error::new(
                    Kind::Usage,
                    format!("{to}: the number of an image is no name for one"),
                )
                .hint("Write a name instead, or nothing."));
            }
        };
        let store = self.store;
        let FileRequest { family, compress, form } = request;
        let anew = form.is_some();
        let digest = match to.form {
            FileForm::OciDir => self.in_leaf_if_packed((image, anew), to, || {
                archive::add_to_layout(store, image, form, name, &to.path).map(Some)
            }),
            FileForm::Dir => self.in_leaf_if_packed((image, anew), to, || {
                archive::replace_directory(store, image, (family, compress), form, &to.path).map(Some)
            }),
            FileForm::OciArchive => self.in_leaf_if_packed((image, anew), to, || {
                let item =
                    Item { image: image.clone(), names: name.map(str::to_owned).into_iter().collect() };
                let mut digest = None;
                archive::to_file(&to.path, |file| {
                    digest = Some(archive::save_oci_archive(store, &item, form, file)?);
                    Ok(())
                })?;
                Ok(digest)
            }),
            FileForm::DockerArchive => {
                // As podman, which keeps the image's own name besides.
                let mut names: Vec<String> = match name {
                    Some(name) => vec![docker_name(name)?.to_string()],
                    None => Vec::new(),
                };
                names.extend(save::tagged(image));
                names.dedup();
                let item = Item { image: image.clone(), names };
                self.in_leaf_if_packed((image, false), to, || {
                    archive::to_file(&to.path, |file| {
                        let format = SaveFormat::DockerArchive;
                        archive::save_archive(store, format, std::slice::from_ref(&item), file)
                    })?;
                    Ok(None)
                })
            }
        }?;
        self.store.events().emit(Event::image_named(Action::Push, image.id.as_str(), &to.to_string()));
        Ok(digest)
    }

    /// Layers that have no blobs are packed from their trees, in a leaf; there they are compressed `anew`, too.
    fn in_leaf_if_packed<T: Serialize + DeserializeOwned>(
        &self,
        (image, anew): (&Image, bool),
        to: &FileLocation,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let item = Item { image: image.clone(), names: Vec::new() };
        match anew || archive::packs_layers(self.store, &[item])? {
            false => work(),
            true => save::in_leaf(self.store, Target::Path(&to.path), |_| work()),
        }
    }
}
