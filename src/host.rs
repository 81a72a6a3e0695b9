//! This machine and account: data directories, kernel features, and what the account is allowed to do.

use crate::error::Result;
use crate::spec::NetworkMode;

mod accepted;
mod accounts;
mod caller;
mod config;
mod cures;
mod doctor;
pub mod emulation;
mod features;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod logger;
mod logout;
mod machine;
mod options;
mod roots;
mod socket;

pub use accepted::AcceptedOptions;
pub use accounts::account;
pub use caller::{Caller, Limit, Sockets, caller, environment};
pub use config::LayerCompression;
pub use cures::{Symptom, cures};
pub use doctor::{Check, State, cgroup_controllers, cgroup_version, examine, id_map};
pub use features::{Feature, features, markdown as features_markdown, release as kernel_release};
pub use logger::Level;
pub use logout::ends_at_logout;
pub use machine::{Distribution, Machine, machine, machine_id};
pub use options::{GlobalOptions, StorageOption};
pub use roots::Roots;
pub use socket::socket;

/// What every verb is given.
#[derive(Debug, Clone)]
pub struct Env {
    /// Where things live.
    pub roots: Roots,
    /// How plain layers are compressed when they are pushed, and the level, where the configuration says so.
    pub compression: Option<(LayerCompression, Option<i32>)>,
    /// The network of containers that ask for none in particular, where the configuration names one.
    pub network: Option<NetworkMode>,
    /// Whether the configuration has connections of containers made in the host's network.
    pub accelerate: bool,
}

impl Env {
    /// Reads the configuration files, works out where things live and starts the logger.
    ///
    /// # Errors
    /// When a configuration file is wrong, the account has no home directory and no `--root` was given,
    /// or no safe directory for volatile state can be had.
    pub fn new(options: &GlobalOptions) -> Result<Self> {
        // A relative one would be another place in each directory (XDG Base Directory Specification).
        let base = directories::BaseDirs::new().filter(|_| home_is_absolute());
        let settings = config::read(base.as_ref().map(directories::BaseDirs::config_dir))?;
        let level = options.log_level.or(options.accepted.level()).or(settings.log_level);
        logger::start(level.unwrap_or_default());
        options.accepted.check()?;
        let compression = settings.compression_format.map(|format| (format, settings.compression_level));
        let network = settings.network.clone();
        let accelerate = settings.accelerate.unwrap_or(false);
        let roots = Roots::find(options, settings, base.as_ref())?;
        log::debug!("data root {}, volatile state {}", roots.data.display(), roots.runtime.display());
        Ok(Env { roots, compression, network, accelerate })
    }
}

/// Whether what the environment calls the home directory, if it does, is one.
fn home_is_absolute() -> bool {
    std::env::var_os("HOME").is_none_or(|home| std::path::Path::new(&home).is_absolute())
}
