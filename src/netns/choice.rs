//! Which driver connects a container.

use super::driver::Driver;
use super::{pasta, slirp};
use crate::spec::NetworkMode;

/// The driver of a network mode; `None` for those that need no program of their own.
pub fn driver(mode: &NetworkMode) -> Option<&dyn Driver> {
    match mode {
        NetworkMode::Slirp(options) => Some(options),
        NetworkMode::Pasta(options) => Some(options),
        NetworkMode::Private
        | NetworkMode::None
        | NetworkMode::Host
        | NetworkMode::Bridge(_)
        | NetworkMode::Container(_)
        | NetworkMode::Ns(_) => None,
    }
}

/// What a container gets that asks for no network in particular: what the configuration says, else slirp4netns, and
/// pasta where that alone is installed.
pub fn usual(configured: Option<&NetworkMode>) -> NetworkMode {
    match configured {
        Some(mode) if *mode != NetworkMode::Private => mode.clone(),
        _ if slirp::find().is_ok() => NetworkMode::Slirp(Default::default()),
        _ => match pasta::find() {
            Ok(program) => {
                log::info!("slirp4netns is not installed: {} connects the container", program.display());
                NetworkMode::Pasta(Default::default())
            }
            // The start says what to install.
            Err(_) => NetworkMode::Slirp(Default::default()),
        },
    }
}
