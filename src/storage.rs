//! Everything that owns bytes under the data root.
//!
//! Theory of operation. A [`Store`] is a handful of paths: opening one reads the `version` record and
//! nothing else. Below the data root:
//!
//! ```text
//! version       format of the store and the id map its layers were made with
//! lock          taken shared for moments while references are made, exclusively to collect garbage
//! oci/          an OCI image layout; index.json is derived from refs/ and images/
//! refs/<hash>   one small record per reference; the hash is of its canonical form
//! images/<id>   one small record per image
//! layers/<id>/  fs/ is the unpacked tree, layer.json and owners describe it; present means complete
//! volumes/ secrets/ containers/ names/
//! events/       what happened, the file `current` being appended to
//! tmp/          what is being made now; trash/  what is being deleted now
//! damaged/      what `system check --repair` could not mend and has put out of the way
//! ```
//!
//! Whatever becomes visible does so by one rename of something complete, so a process may be killed at
//! any instant. Paths below the data root are built from digests, ids and names only, which are types
//! that cannot hold a separator, and opened through no link ([`place`]); what lies inside a layer or
//! volume is reached by descriptors.

mod access_list;
pub mod archive;
pub mod blobs;
pub mod compare;
pub mod containers;
mod copy;
pub mod events;
pub mod fuse;
mod holes;
mod id_map;
mod id_ranges;
pub mod images;
pub mod layers;
mod lock;
pub mod measure;
mod misplaced;
pub mod pack;
mod place;
pub mod record;
mod reset;
pub mod rootfs;
mod roots;
pub mod secrets;
mod store;
pub mod trash;
pub mod tree;
pub mod unpack;
mod version;
pub mod volumes;
mod whiteout;

pub use lock::{ExclusiveLock, SharedLock};
pub use store::Store;
pub use version::FORMAT;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
