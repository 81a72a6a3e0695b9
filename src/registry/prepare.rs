//! The parts of a pull that need files or programs, done before the download process exists.

use super::certs;
use super::conf::{Registries, Source};
use super::credentials::{Credentials, Keyring};
use super::endpoint::{Endpoint, Security, is_loopback};
use super::places::Places;
use super::retry::RetryPolicy;
use crate::error::Result;
use crate::image::{Platform, Reference};
use std::path::PathBuf;

/// What the user requested, besides the name.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// The platform to choose from an index.
    pub platform: Platform,
    /// `--tls-verify`; `None` leaves it to `registries.conf`.
    pub tls_verify: Option<bool>,
    /// `--creds`.
    pub credentials: Option<Credentials>,
    /// `--authfile`.
    pub auth_file: Option<PathBuf>,
    /// `--cert-dir`.
    pub cert_dir: Option<PathBuf>,
    /// `--retry` and `--retry-delay`.
    pub retry: RetryPolicy,
}

impl Default for PullRequest {
    /// For this machine's platform, as the configuration of registries says.
    fn default() -> Self {
        PullRequest {
            platform: Platform::host(),
            tls_verify: None,
            credentials: None,
            auth_file: None,
            cert_dir: None,
            retry: RetryPolicy::default(),
        }
    }
}

/// One full name and the hosts to fetch it from, in order.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// The name the image gets.
    pub(super) reference: Reference,
    pub(super) endpoints: Vec<Endpoint>,
}

/// A name made ready to be fetched.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) candidates: Vec<Candidate>,
    pub(super) platform: Platform,
    pub(super) retry: RetryPolicy,
}

impl Prepared {
    /// Reads the configuration and finds the credentials; may run credential helpers, so the calling
    /// process must have one thread.
    ///
    /// # Errors
    /// Bad configuration or credential files, a blocked name.
    pub fn new(places: &Places, reference: &Reference, request: &PullRequest) -> Result<Prepared> {
        let registries = Registries::load(places)?;
        let order = registries.credential_helpers();
        let keyring =
            Keyring::load(places, order, request.auth_file.as_deref(), request.credentials.clone())?;
        let mut candidates = Vec::new();
        for reference in registries.candidates(reference)? {
            let sources = registries.sources(&reference)?;
            let last = sources.len().saturating_sub(1);
            let mut endpoints = Vec::new();
            for (at, source) in sources.into_iter().enumerate() {
                // Mirrors come first; only the last is what the user named.
                endpoints.push(endpoint(places, request, &keyring, source, at == last)?);
            }
            candidates.push(Candidate { reference, endpoints });
        }
        Ok(Prepared { candidates, platform: request.platform.clone(), retry: request.retry })
    }

    /// As [`Prepared::new`], for a push: to the place that the name means, and to no mirror.
    ///
    /// # Errors
    /// As there.
    pub fn to_push(places: &Places, reference: &Reference, request: &PullRequest) -> Result<Prepared> {
        let registries = Registries::load(places)?;
        let order = registries.credential_helpers();
        let keyring =
            Keyring::load(places, order, request.auth_file.as_deref(), request.credentials.clone())?;
        let mut endpoints = Vec::new();
        if let Some(own) = registries.sources(reference)?.pop() {
            endpoints.push(endpoint(places, request, &keyring, own, true)?);
        }
        let candidates = vec![Candidate { reference: reference.clone(), endpoints }];
        Ok(Prepared { candidates, platform: request.platform.clone(), retry: request.retry })
    }

    /// The full names that will be tried, in order.
    pub fn names(&self) -> impl Iterator<Item = &Reference> {
        self.candidates.iter().map(|c| &c.reference)
    }
}

/// A registry, with all that is needed to speak to it; `named` says that it is what the user has named.
fn endpoint(
    places: &Places,
    request: &PullRequest,
    keyring: &Keyring,
    source: Source,
    named: bool,
) -> Result<Endpoint> {
    let host = source.reference.registry().unwrap_or_default().to_owned();
    let security = match request.tls_verify {
        Some(true) => Security::Verified,
        Some(false) => Security::Insecure,
        None if source.insecure => Security::Insecure,
        None if is_loopback(&host) => Security::Loopback,
        None => Security::Verified,
    };
    Ok(Endpoint {
        security,
        certs: certs::load(places, request.cert_dir.as_deref(), &host)?,
        found: keyring.find(&source.reference, named),
        hosts: keyring.hosts(),
        reference: source.reference,
    })
}
