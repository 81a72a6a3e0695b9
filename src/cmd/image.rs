//! The verbs that exist only below `coracle image`.

pub mod exists;
pub mod mount;
pub mod prune;
pub mod scp;
pub mod tree;
pub mod trust;
pub mod unmount;
