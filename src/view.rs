//! Typed data as documents and rows: JSON and templates, in the format of podman and docker. The dialect is an
//! argument.

pub mod build_cache;
pub mod container;
pub mod context;
mod dialect;
pub mod disk_usage;
pub mod event;
pub mod history;
pub mod image;
pub mod imagetools;
pub mod info;
pub mod inspect;
pub mod manifest;
pub mod network;
pub mod pod;
mod ports;
pub mod search;
pub mod secret;
pub mod stats;
pub mod top;
pub mod trust;
pub mod version;
pub mod volume;

pub use dialect::Dialect;
pub use ports::both_families;
