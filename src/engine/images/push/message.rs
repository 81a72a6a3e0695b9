//! What a push tells while it works.

use crate::image::Digest;
use crate::registry::PushEvent;
use serde::{Deserialize, Serialize};

/// A layer of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The digest of its uncompressed archive, by which docker calls it.
    pub diff_id: Digest,
    /// Its digest in the image's manifest here, by which podman calls it.
    pub digest: Digest,
    /// Bytes that are sent, or that are to be compressed.
    pub size: u64,
}

/// What a push tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// An image begins: its layers.
    Layers(Vec<Layer>),
    /// Something about one of the layers, which are numbered, or about the connection.
    Layer(PushEvent),
    /// The configuration goes.
    Config(Digest),
    /// The manifest goes.
    Manifest,
}
