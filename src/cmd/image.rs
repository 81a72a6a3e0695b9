//! The verbs that stand below `coracle image` only.

pub mod exists;
pub mod prune;
pub mod tree;
