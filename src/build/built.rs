//! The result of a build.

use super::event::Warning;
use crate::image::{Digest, Platform};

/// What a build has made.
#[derive(Debug, Clone, Default)]
pub struct Built {
    /// The image of each platform, last this machine's, if there is one; none where no image was asked for.
    pub images: Vec<(Platform, Digest)>,
    /// The list of the store that has them, by id.
    pub list: Option<Digest>,
    /// The digest of the index of several platforms.
    pub index: Option<Digest>,
    /// The digest of what was pushed.
    pub pushed: Option<Digest>,
    /// What the build checks found.
    pub warnings: Vec<Warning>,
}
