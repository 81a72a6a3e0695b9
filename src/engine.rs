//! Operations on whole objects, for every front end: the command line, an API, a builder.
//!
//! Each takes typed requests and gives typed results; warnings are values or go to the log, long work tells how far
//! it is by a callback, and what changes is written to the events here. Nothing here knows of options, of standard
//! streams, of the current directory or of exit codes.

pub mod containers;
pub mod disk_usage;
pub mod events;
pub mod filter;
pub mod images;
pub mod info;
pub mod prune;
pub mod volumes;
