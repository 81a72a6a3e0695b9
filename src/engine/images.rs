//! Operations on images.

pub mod filter;
