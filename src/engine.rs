//! Operations on whole objects, for every front end: the command line, an API, a builder.
//!
//! Each takes typed requests and gives typed results; warnings are values or go to the log, long work tells how far
//! it is by a callback, and what changes is written to the events here. Nothing here knows of options, of standard
//! streams, of the current directory or of exit codes.

pub mod check;
pub mod containers;
pub mod disk_usage;
pub mod events;
pub mod filter;
pub mod images;
pub mod info;
pub mod prune;
pub mod reset;
pub mod volumes;

use crate::storage::Store;
use std::path::Path;

/// What operations work on. Those that need no more than the store take that alone.
#[derive(Debug, Clone, Copy)]
pub struct Engine<'a> {
    /// Images, containers, volumes and secrets.
    pub store: &'a Store,
    /// `$XDG_CONFIG_HOME`: where the configuration of registries lies.
    pub config: &'a Path,
}
