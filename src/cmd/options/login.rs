//! What login and logout have in common: the registry, and the file of credentials.

use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::registry::{Keeper, LoginKey};
use crate::ui;
use std::path::PathBuf;

/// Which file of credentials is changed.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AuthFileOptions {
    /// Credentials file to change, instead of the default one
    #[arg(long, value_name = "FILE", conflicts_with = "compat_auth_file", help_heading = "Storage")]
    pub authfile: Option<PathBuf>,
    /// Credentials file to change, in docker's form
    #[arg(long, value_name = "FILE", help_heading = "Storage")]
    pub compat_auth_file: Option<PathBuf>,
}

impl AuthFileOptions {
    /// Where credentials are kept.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn keeper(&self, engine: Engine<'_>) -> Result<Keeper> {
        let named = self.authfile.as_deref().or(self.compat_auth_file.as_deref());
        let in_dockers_form = self.compat_auth_file.is_some() || self.authfile.is_none() && ui::docker();
        engine.keeper(named, in_dockers_form)
    }
}

/// The registry that was named, or the usual one.
///
/// # Errors
/// What is no name of one; no usual one.
pub fn login_key(engine: Engine<'_>, named: Option<&str>) -> Result<LoginKey> {
    match named {
        // Docker knows no namespaces; what follows the host is the address of its API.
        Some(name) if ui::docker() => Ok(name.parse::<LoginKey>()?.whole()),
        Some(name) => name.parse(),
        None if ui::docker() => "docker.io".parse(),
        None => engine.default_registry()?.ok_or_else(|| {
            Error::new(Kind::Usage, "no registry was named, and unqualified-search-registries is empty")
                .hint("Name one: coracle login docker.io")
        }),
    }
}
