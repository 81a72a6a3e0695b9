//! What is pushed, and what is there then.

use crate::error::Result;
use crate::image::{Digest, Image, Reference};
use crate::storage::archive::Descriptor;
use serde::{Deserialize, Serialize};

/// What is in the registry now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The full name it was pushed to.
    pub reference: Reference,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// Bytes of that.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
}

/// Makes an index, given the descriptors of its manifests in the order of the images; its media type and bytes.
pub type MakeIndex<'a> = &'a dyn Fn(&[Descriptor]) -> Result<(String, Vec<u8>)>;

/// What is pushed, as a leaf knows it.
pub(super) struct Whole<'a> {
    /// The images.
    pub(super) images: &'a [Image],
    /// What makes an index of them; without it there is one image, and no index.
    pub(super) index: Option<MakeIndex<'a>>,
}
