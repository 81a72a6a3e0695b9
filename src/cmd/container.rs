//! Verbs of `coracle container` alone.

pub mod cleanup;
pub mod exists;
pub mod prune;
