//! What is said of an image that comes from an archive.

use crate::storage::archive::Progress as Loading;

/// A line about an image that comes from an archive.
pub fn loading(step: &Loading) -> String {
    match step {
        Loading::Layer(id) => format!("Copying layer {}", id.short()),
        Loading::Present(id) => format!("Layer {} is already here", id.short()),
        Loading::Image(id) => format!("Image {} is complete", id.short()),
    }
}
