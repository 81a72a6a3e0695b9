//! The verbs that exist only below `coracle image`.

pub mod diff;
pub mod exists;
pub mod inspect;
pub mod mount;
pub mod prune;
pub mod scp;
pub mod tree;
pub mod trust;
pub mod unmount;
