//! Verbs that exist only below `coracle container`.

pub mod cleanup;
pub mod clone;
pub mod exists;
pub mod prune;
