//! Pure OCI types: digests, references, platforms, image configuration. No I/O.
//!
//! A digest string is parsed into a [`Digest`] once, on input; only that type may become part of a path or URL
//! (attack case 11).

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
pub mod broken;
pub mod change;
pub mod choice;
mod config;
mod digest;
pub mod document;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub(crate) mod health;
pub mod index;
mod location;
pub mod media;
mod platform;
mod reference;

pub use config::{HistoryEntry, ImageConfig, RootFs, RunConfig};
pub use digest::{ChainId, DiffId, Digest};
pub use index::{Index, IndexEntry, PlatformOf};
pub use location::{FileForm, FileLocation, Location, Member, docker_name};
pub use platform::Platform;
pub use reference::Reference;

/// Most layers of an image, as the kernel's overlay takes no more (`OVL_MAX_STACK`).
pub const LAYERS_MAX: usize = 500;

/// A local image, as the store hands it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its id: the digest of the configuration blob.
    pub id: Digest,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The name it was found under, if it was found by name.
    pub reference: Option<Reference>,
    /// Its layers' chain ids, bottom first.
    pub layers: Vec<ChainId>,
    /// Its configuration.
    pub config: ImageConfig,
}

#[cfg(test)]
mod tests;
