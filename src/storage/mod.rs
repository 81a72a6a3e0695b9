//! Everything that owns bytes under the data root.
pub mod containers;
pub mod rootfs;
