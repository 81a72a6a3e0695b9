//! Whether a registry lets a user in: `GET /v2/`, as the distribution spec has it for this.

use super::blob::retrying;
use super::certs;
use super::conf::Registries;
use super::credentials::{Credentials, Found, LoginKey};
use super::endpoint::{Endpoint, Errand, Security};
use super::http::Session;
use super::places::Places;
use super::retry::{RetryPolicy, Tries};
use super::runner::block_on;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Credentials made ready to be tried at a registry.
#[derive(Debug, Clone)]
pub struct LoginCheck {
    endpoint: Endpoint,
}

/// What a registry says of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It accepts them, or asks for none.
    Accepted,
    /// It does not.
    Refused,
}

impl LoginCheck {
    /// Reads what is configured about the registry.
    ///
    /// # Errors
    /// Bad configuration, a blocked registry, certificates that cannot be read.
    pub fn new(
        places: &Places,
        key: &LoginKey,
        credentials: Credentials,
        tls_verify: Option<bool>,
        cert_dir: Option<&Path>,
    ) -> Result<LoginCheck> {
        let reference = key.reference()?;
        let insecure = Registries::load(places)?.insecure(&reference)?;
        let endpoint = Endpoint {
            errand: Errand::Login,
            security: Security::of(key.registry(), tls_verify, insecure),
            certs: certs::load(places, cert_dir, key.registry())?,
            found: Found { credentials: Some(credentials), trouble: None },
            // Only what was given is tried, wherever the token server is.
            hosts: BTreeMap::new(),
            reference,
        };
        Ok(LoginCheck { endpoint })
    }
}

/// Tries credentials. Starts threads: to be called in a leaf.
///
/// # Errors
/// A registry that cannot be reached or answers badly; one whose token server must not be told the password.
pub fn check_login(check: &LoginCheck, stopped: &dyn Fn() -> bool) -> Result<Verdict> {
    block_on(stopped, async {
        let session = Session::open(&check.endpoint).await?;
        let mut tries = Tries::new(RetryPolicy::default());
        let answer = retrying(&mut tries, &|_| {}, async || session.get_of_registry("").await).await;
        match answer {
            Ok(_) => Ok(Verdict::Accepted),
            Err(_) if session.refuses_credentials() => Ok(Verdict::Refused),
            Err(e) => Err(e),
        }
    })
}
