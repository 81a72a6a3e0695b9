//! Operations on whole objects, for every front end: the command line, an API, a builder.
//!
//! Each operation takes a typed request and returns a typed result. Warnings are values or are logged, progress
//! is reported through a callback, and changes are recorded as events here. Nothing in this room uses command
//! line options, standard streams, the current directory or exit codes.

pub mod build_cache;
pub mod check;
pub mod containers;
pub mod disk_usage;
pub mod events;
pub mod filter;
pub mod images;
pub mod info;
pub mod lists;
mod logins;
pub mod mounts;
pub mod networks;
mod pass;
pub mod pods;
pub mod prune;
pub mod reset;
pub mod volumes;

use crate::netns;
use crate::registry::{Choose, Places};
use crate::spec::NetworkMode;
use crate::storage::Store;
use std::path::Path;

/// What operations work on. Those that need no more than the store take that alone.
#[derive(Debug, Clone, Copy)]
pub struct Engine<'a> {
    /// Images, containers, volumes and secrets.
    pub store: &'a Store,
    /// `$XDG_CONFIG_HOME`: where the configuration of registries lies.
    pub config: &'a Path,
    /// The directory of docker's configuration, where one was named.
    pub docker: Option<&'a Path>,
    /// Docker's `daemon.json`, where its settings on registries count.
    pub daemon: Option<&'a Path>,
    /// The network of containers that ask for none in particular, where the configuration names one.
    pub network: Option<&'a NetworkMode>,
    /// Whether connections of containers are made in the host's network where nothing else is said.
    pub accelerate: bool,
    /// Asks somebody which image a short name means; `None` where there is nobody.
    pub choose: Option<Choose>,
}

impl Engine<'_> {
    /// Puts what is usual here in place of what a wish for a network leaves open.
    fn settle_network(&self, mode: &mut NetworkMode) {
        if *mode == NetworkMode::Private {
            *mode = netns::usual(self.network);
        }
        if self.accelerate {
            mode.accelerate();
        }
    }

    /// Where the configuration of registries and their credentials are.
    fn places(&self) -> Places {
        let daemon = self.daemon.map(Path::to_owned);
        Places { daemon, ..Places::from_env(self.config, self.docker) }
    }
}
