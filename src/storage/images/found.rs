//! What names mean: images, and lists of images.

use super::records::Part;
use crate::error::{Error, Kind, Result, phrases};
use crate::image::{Digest, Image, Index, Reference};

/// What a name or an id means.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// An image.
    Image(Box<Image>),
    /// A list of images.
    List(Box<List>),
}

impl Found {
    /// The id of the image or list.
    pub fn id(&self) -> &Digest {
        match self {
            Found::Image(image) => &image.id,
            Found::List(list) => &list.id,
        }
    }

    /// This, unless it is a list whose index cannot be read.
    pub(super) fn whole(self) -> Result<Found> {
        if let Found::List(list) = &self
            && let Some(why) = &list.lost
        {
            return Err(
                Error::new(Kind::Storage, why).hint("Repair the store: coracle system check --repair")
            );
        }
        Ok(self)
    }

    /// The name it was found under, if it was found by name.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Found::Image(image) => image.reference.as_ref(),
            Found::List(list) => list.reference.as_ref(),
        }
    }
}

/// A list, as the store hands it out.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Its id.
    pub id: Digest,
    /// The name it was found under, if it was found by name.
    pub reference: Option<Reference>,
    /// The digest of the index's bytes.
    pub digest: Digest,
    /// The index.
    pub index: Index,
    /// What is known of its entries.
    pub parts: Vec<Part>,
    /// Why the index cannot be read, which is empty then. Only [`Images::find_to_remove`](super::Images::find_to_remove)
    /// hands out such a list.
    pub lost: Option<String>,
}

/// What a list has for a platform.
#[derive(Debug, Clone, PartialEq)]
pub enum Instance {
    /// An image of the store.
    Here(Box<Image>),
    /// An image that only a registry has, if it is known which.
    Elsewhere {
        /// The digest of its manifest.
        digest: Digest,
        /// The name in a registry that it was added by.
        source: Option<Reference>,
    },
}

impl Instance {
    /// The image.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is not in the store; `list` is the list in the user's words.
    pub fn need(self, list: &str) -> Result<Image> {
        match self {
            Instance::Here(image) => Ok(*image),
            Instance::Elsewhere { digest, source } => {
                let error = phrases::no_image(&format!("{list}: {digest}"));
                Err(match source {
                    Some(source) => error.hint(format!(
                        "Fetch what the list has for this platform: coracle pull {}@{digest}",
                        source.repository()
                    )),
                    None => error.hint(format!("See what the list has: coracle manifest inspect {list}")),
                })
            }
        }
    }
}

impl List {
    /// What is known of an entry.
    pub fn part(&self, digest: &Digest) -> Option<&Part> {
        self.parts.iter().find(|part| part.digest == *digest)
    }

    /// The list in words: the name it was found under, or its id.
    pub fn called(&self) -> String {
        self.reference.as_ref().map_or_else(|| self.id.short().to_owned(), ToString::to_string)
    }
}
