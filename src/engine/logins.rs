//! Logging in to registries.

use super::Engine;
use crate::error::Result;
use crate::fork;
use crate::registry::{self, Credentials, Keeper, LoginCheck, LoginKey, Registries, Verdict};
use std::path::Path;

impl Engine<'_> {
    /// Where credentials are kept: in the file that the caller names or the usual one, of docker's form or of
    /// containers'.
    ///
    /// # Errors
    /// Configuration or credentials files that cannot be read.
    pub fn keeper(&self, file: Option<&Path>, docker: bool) -> Result<Keeper> {
        Keeper::new(&self.places(), file, docker)
    }

    /// The registry that is meant where none is named: the first that short names are looked for at.
    ///
    /// # Errors
    /// Configuration that cannot be read; `None` if it names no registry.
    pub fn default_registry(&self) -> Result<Option<LoginKey>> {
        Registries::load(&self.places())?.search().first().map(|name| name.parse()).transpose()
    }

    /// Tries credentials at a registry.
    ///
    /// # Errors
    /// A registry that cannot be reached or answers badly, or whose token server is on another host.
    pub fn try_login(
        &self,
        key: &LoginKey,
        credentials: Credentials,
        tls_verify: Option<bool>,
        cert_dir: Option<&Path>,
    ) -> Result<Verdict> {
        let check = LoginCheck::new(&self.places(), key, credentials, tls_verify, cert_dir)?;
        fork::tidy_leaf("login", &[], |_, stop| registry::check_login(&check, &|| stop.came()), |()| {})
    }
}
