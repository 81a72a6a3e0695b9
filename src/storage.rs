//! Everything stored in the data root.
//!
//! Theory of operation. A [`Store`] is a handful of paths: opening one reads the `version` record and
//! nothing else. The data root contains:
//!
//! ```text
//! version       format of the store and the id map its layers were made with
//! lock          held shared briefly while references are created, exclusively to collect garbage
//! oci/          an OCI image layout; index.json is derived from refs/ and images/
//! refs/<hash>   one small record per reference; the hash is of its canonical form
//! images/<id>   one small record per image
//! layers/<id>/  fs/ is the unpacked tree, layer.json and owners describe it; complete if it exists
//! volumes/ secrets/ containers/ pods/ names/
//! build/        the build cache, see [`build`]
//! events/       the event log; `current` is appended to
//! tmp/          what is being created; trash/  what is being deleted
//! mounts/       where `mount` and `image mount` mount, each in its own namespace
//! damaged/      what `system check --repair` could not repair and moved aside
//! ```
//!
//! Objects become visible by a single rename once they are complete, so a process may be killed at any
//! time. Paths in the data root are built only from digests, ids and names, which are types that cannot
//! contain a separator, and are opened without following links ([`place`]); the contents of a layer or volume
//! are reached by descriptors.

mod access_list;
pub mod archive;
pub mod blobs;
mod boot;
pub mod build;
mod claim;
pub mod compare;
pub mod compress;
pub mod containers;
pub mod copy;
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
mod mount_table;
pub mod mounted;
pub mod networks;
pub mod pack;
mod place;
mod pod_place;
pub mod pods;
pub mod record;
mod reset;
pub mod room;
pub mod rootfs;
mod roots;
mod scratch;
pub mod secrets;
mod store;
pub mod trash;
pub mod tree;
pub mod unpack;
mod upper;
mod version;
pub mod volumes;
mod whiteout;

pub use id_ranges::many_ids;
pub use lock::{ExclusiveLock, MakingLock, SharedLock, UpdatingLock};
pub use scratch::Scratch;
pub use store::Store;
pub use version::FORMAT;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
