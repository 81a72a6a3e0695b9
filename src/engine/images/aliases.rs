//! Short names of images, as the configuration of registries has them.

use crate::registry::{Places, Registries};
use crate::storage::images::Aliases;
use std::path::Path;

/// The aliases of `registries.conf`, its drop-ins and the choices at the terminal; read when the first one is asked for.
/// `config` is `$XDG_CONFIG_HOME`, `docker` the directory of docker's configuration, where one was named.
pub fn aliases(config: &Path, docker: Option<&Path>) -> Aliases {
    let places = Places::from_env(config, docker);
    Aliases::new(move |short| Registries::load(&places)?.alias_of(short))
}
