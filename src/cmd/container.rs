//! Verbs of `coracle container` alone.

pub mod cleanup;
pub mod clone;
pub mod exists;
pub mod prune;
