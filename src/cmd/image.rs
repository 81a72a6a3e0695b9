//! The verbs that exist only below `coracle image`.

pub mod exists;
pub mod prune;
pub mod scp;
pub mod tree;
pub mod trust;
