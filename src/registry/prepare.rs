//! The parts of a pull that need files or programs, done before the download process exists.

use super::aliases::Alias;
use super::certs;
use super::conf::{Registries, Resolved, Source};
use super::credentials::{Credentials, Keyring};
use super::endpoint::{Endpoint, Errand, Security};
use super::places::Places;
use super::policy::{Demand, Lookaside, Lookasides, Policy, PolicyFile, Signatures};
use super::retry::RetryPolicy;
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Platform, Reference};
use std::path::{Path, PathBuf};

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
    /// The signatures that it must have.
    pub(super) demand: Demand,
    /// Where those by GPG are looked for.
    pub(super) lookaside: Lookaside,
    /// The manifest whose signatures have been verified.
    pub(super) admitted: Option<Digest>,
}

impl Candidate {
    /// One that needs no signatures.
    fn new(reference: Reference, endpoints: Vec<Endpoint>) -> Candidate {
        let (demand, lookaside) = (Demand::default(), Lookaside::default());
        Candidate { reference, endpoints, demand, lookaside, admitted: None }
    }

    /// Refuses a manifest whose signatures were not verified, where the policy demands some.
    ///
    /// # Errors
    /// [`Kind::Image`] then.
    pub(super) fn check_admitted(&self, manifest: &[u8]) -> Result<()> {
        if self.demand.is_empty() || self.admitted == Some(Digest::sha256_of(manifest)) {
            return Ok(());
        }
        let name = &self.reference;
        let message = format!("Source image rejected: {name}: its manifest is not the one that is signed");
        Err(Error::new(Kind::Image, message).naming_image())
    }
}

/// Has somebody choose among several full names, by their number.
pub type Choose = fn(&[String]) -> Result<usize>;

/// A name made ready to be fetched.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) candidates: Vec<Candidate>,
    /// What made the candidates of a short name.
    pub(super) how: Option<String>,
    /// What somebody has chosen.
    alias: Option<Alias>,
    pub(super) platform: Platform,
    pub(super) retry: RetryPolicy,
}

impl Prepared {
    /// Reads the configuration and finds the credentials; may run credential helpers, so the calling
    /// process must have one thread. If a short name may mean several images, `choose` says which is meant.
    ///
    /// # Errors
    /// Bad configuration or credential files; every name is blocked; nothing was chosen.
    pub fn new(
        places: &Places,
        reference: &Reference,
        request: &PullRequest,
        choose: Option<Choose>,
    ) -> Result<Prepared> {
        let registries = Registries::load(places)?;
        let order = registries.credential_helpers();
        let keyring =
            Keyring::load(places, order, request.auth_file.as_deref(), request.credentials.clone())?;
        let (resolved, alias) = chosen(registries.resolve(reference)?, reference, choose)?;
        let (mut candidates, mut blocked) = (Vec::new(), None);
        for reference in resolved.names {
            let sources = match registries.sources(&reference) {
                Ok(sources) => sources,
                Err(e) if e.kind() == Kind::Registry => {
                    blocked = blocked.or(Some(e));
                    continue;
                }
                Err(e) => return Err(e),
            };
            let last = sources.len().saturating_sub(1);
            let mut endpoints = Vec::new();
            for (at, source) in sources.into_iter().enumerate() {
                // Mirrors come first; only the last is what the user named.
                endpoints.push(endpoint(places, request, &keyring, source, at == last)?);
            }
            candidates.push(Candidate::new(reference, endpoints));
        }
        match blocked {
            Some(e) if candidates.is_empty() => return Err(e),
            Some(e) => log::warn!("{}", e.in_one_line()),
            None => {}
        }
        let (platform, retry) = (request.platform.clone(), request.retry);
        Ok(Prepared { candidates, how: resolved.how, alias, platform, retry })
    }

    /// Notes what was chosen for a short name, once the image has been had.
    ///
    /// # Errors
    /// The file of short names cannot be read or replaced.
    pub fn keep_choice(&self, places: &Places) -> Result<()> {
        self.alias.as_ref().map_or(Ok(()), |alias| alias.keep(places))
    }

    /// As [`Prepared::new`], for a push: to the very name. Neither mirrors nor other locations are written to
    /// (containers-registries.conf(5)).
    ///
    /// # Errors
    /// As there.
    pub fn to_push(places: &Places, reference: &Reference, request: &PullRequest) -> Result<Prepared> {
        let registries = Registries::load(places)?;
        let order = registries.credential_helpers();
        let keyring =
            Keyring::load(places, order, request.auth_file.as_deref(), request.credentials.clone())?;
        let own = Source { reference: reference.clone(), insecure: registries.insecure(reference)? };
        let endpoints = vec![endpoint(places, request, &keyring, own, true)?];
        let candidates = vec![Candidate::new(reference.clone(), endpoints)];
        let (platform, retry) = (request.platform.clone(), request.retry);
        Ok(Prepared { candidates, how: None, alias: None, platform, retry })
    }

    /// Reads what the policy demands of each name. Those that it rejects are not asked for.
    ///
    /// # Errors
    /// Bad configuration; every name is rejected.
    pub fn obey_policy(&mut self, places: &Places) -> Result<()> {
        let policy = PolicyFile::load(places)?.policy;
        if policy == Policy::open() {
            return Ok(());
        }
        let lookasides = Lookasides::load(places)?;
        let mut allowed = Vec::new();
        let mut rejection = None;
        for mut candidate in std::mem::take(&mut self.candidates) {
            match Demand::of(&policy, &candidate.reference) {
                Ok(demand) => {
                    candidate.demand = demand;
                    candidate.lookaside = lookasides.of(&candidate.reference);
                    allowed.push(candidate);
                }
                Err(e) => rejection = rejection.or(Some(e)),
            }
        }
        self.candidates = allowed;
        match rejection {
            Some(e) if self.candidates.is_empty() => Err(e),
            Some(e) => {
                log::warn!("{}", e.in_one_line());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether any name must have signatures.
    pub fn demands_signatures(&self) -> bool {
        self.candidates.iter().any(|candidate| !candidate.demand.is_empty())
    }

    /// Verifies what was found for a name by [`super::signatures`], and from now on lets no other manifest be its image.
    /// `work` makes an empty directory, for gpg.
    ///
    /// # Errors
    /// [`crate::error::Kind::Image`] if the signatures do not satisfy the policy.
    pub fn admit<D: AsRef<Path>>(
        &mut self,
        name: &Reference,
        found: &Signatures,
        work: impl Fn() -> Result<D>,
    ) -> Result<()> {
        for candidate in self.candidates.iter_mut().filter(|candidate| candidate.reference == *name) {
            candidate.demand.verify(name, found, &work)?;
            candidate.admitted = Some(found.manifest.clone());
        }
        Ok(())
    }

    /// The full names that will be tried, in order.
    pub fn names(&self) -> impl Iterator<Item = &Reference> {
        self.candidates.iter().map(|c| &c.reference)
    }
}

/// Has somebody choose where that is wanted and somebody is there.
fn chosen(
    mut resolved: Resolved,
    name: &Reference,
    choose: Option<Choose>,
) -> Result<(Resolved, Option<Alias>)> {
    match choose {
        Some(choose) if resolved.choice => {
            let names: Vec<String> = resolved.names.iter().map(Reference::canonical).collect();
            let at = choose(&names)?.min(names.len() - 1);
            let only = resolved.names.swap_remove(at);
            let alias = Alias { short: name.path().to_owned(), repository: only.repository() };
            Ok((Resolved { names: vec![only], how: None, ..resolved }, Some(alias)))
        }
        None if resolved.enforced => {
            let message = "short-name resolution enforced but cannot prompt without a TTY";
            Err(Error::new(Kind::Usage, format!("{name}: {message}"))
                .hint(format!("Write the full name, for example {}.", resolved.names[0])))
        }
        _ => Ok((resolved, None)),
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
    Ok(Endpoint {
        errand: Errand::Pull,
        security: Security::of(&host, request.tls_verify, source.insecure),
        certs: certs::load(places, request.cert_dir.as_deref(), &host)?,
        found: keyring.find(&source.reference, named),
        hosts: keyring.hosts(),
        reference: source.reference,
    })
}
