//! Searching registries: the API of docker.io and quay.io (`/v1/search`), or the catalog of a private one.
//!
//! A registry that does not know the first is asked for the names of all its repositories, page by page, until enough of
//! them have the term in them. No credentials are sent for the first.

use super::answer::read_limited;
use super::blob::retrying;
use super::certs;
use super::conf::Registries;
use super::credentials::Keyring;
use super::endpoint::{Endpoint, Errand, Security};
use super::http::{Ask, Session};
use super::manifest::MANIFEST_MAX;
use super::places::Places;
use super::prepare::PullRequest;
use super::retry::{RetryPolicy, Tries};
use super::runner::block_on;
use super::tags::next_page;
use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

/// Pages of a catalog that are read.
const PAGES_MAX: usize = 1000;

/// A repository that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hit {
    /// Its name without the registry's.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// How many users like it.
    #[serde(rename = "star_count")]
    pub stars: u64,
    /// The registry's owner publishes it.
    #[serde(rename = "is_official")]
    pub official: bool,
    /// It is built from a repository of sources.
    #[serde(rename = "is_automated")]
    pub automated: bool,
}

/// What one registry answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Found {
    /// The registry.
    pub registry: String,
    /// The repositories, or why it does not answer.
    pub hits: Result<Vec<Hit>, String>,
}

/// A search made ready: nothing here needs a file again.
#[derive(Debug, Clone)]
pub struct Search {
    endpoints: Vec<Endpoint>,
    term: String,
    limit: usize,
    retry: RetryPolicy,
}

impl Search {
    /// Takes `[registry/]term` apart and reads what is configured about the registries; without one, those that short
    /// names are looked for at are searched. Each gives at most `limit` repositories. May run credential helpers.
    ///
    /// # Errors
    /// A bad name of a registry, a blocked one, bad configuration; [`Kind::Usage`] for credentials without a registry.
    pub fn new(places: &Places, text: &str, limit: usize, request: &PullRequest) -> Result<Search> {
        let registries = Registries::load(places)?;
        let is_registry = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (hosts, term) = match text.split_once('/') {
            Some((host, term)) if is_registry(host) => (vec![host.to_owned()], term),
            _ if request.credentials.is_some() => {
                return Err(Error::new(
                    Kind::Usage,
                    format!("--creds: {text:?} names no registry to send them to"),
                )
                .hint(format!("Write it before the term: coracle search REGISTRY/{text}")));
            }
            _ => (registries.search(), text),
        };
        let auth_file = request.auth_file.as_deref();
        let keyring =
            Keyring::load(places, registries.credential_helpers(), auth_file, request.credentials.clone())?;
        let endpoint = |host: &String| -> Result<Endpoint> {
            let reference: Reference = format!("{host}/catalog").parse()?;
            if reference.registry() != Some(host) {
                return Err(Error::new(Kind::Usage, format!("{host:?} is not the name of a registry")));
            }
            let insecure = registries.insecure(&reference)?;
            Ok(Endpoint {
                errand: Errand::Search,
                security: Security::of(host, request.tls_verify, insecure),
                certs: certs::load(places, request.cert_dir.as_deref(), host)?,
                found: keyring.find(&reference, true),
                hosts: keyring.hosts(),
                reference,
            })
        };
        let endpoints = hosts.iter().map(endpoint).collect::<Result<Vec<_>>>()?;
        Ok(Search { endpoints, term: term.to_owned(), limit, retry: request.retry })
    }
}

/// Asks all registries at once. Starts threads: to be called in a leaf.
///
/// # Errors
/// The failure of the only registry; among several each has its own.
pub fn search(search: &Search, stopped: &dyn Fn() -> bool) -> Result<Vec<Found>> {
    block_on(stopped, async {
        if let [only] = search.endpoints.as_slice() {
            let hits = search_one(only, search).await?;
            return Ok(vec![Found { registry: only.host().to_owned(), hits: Ok(hits) }]);
        }
        let all = search.endpoints.iter().map(async |endpoint| {
            let hits = search_one(endpoint, search).await.map_err(|e| e.in_one_line());
            Found { registry: endpoint.host().to_owned(), hits }
        });
        Ok(join_all(all).await)
    })
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Hit>,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

async fn search_one(endpoint: &Endpoint, search: &Search) -> Result<Vec<Hit>> {
    let session = Session::open(endpoint).await?;
    if !search.term.is_empty() {
        let limit = search.limit.to_string();
        let query = [("q", search.term.as_str()), ("n", limit.as_str())];
        if let Some(mut answer) = session.get_unasked("v1/search", &query).await? {
            // A server that answers everything with some page of its own is no search API.
            let body = read_limited(&mut answer, "the answer to a search", MANIFEST_MAX).await;
            let body = body.map_err(|trouble| trouble.error)?;
            match serde_json::from_slice::<Results>(&body) {
                Ok(found) => return Ok(found.results.into_iter().take(search.limit).collect()),
                Err(e) => log::debug!("{} has no search API: {e}", endpoint.host()),
            }
        }
    }
    catalog(&session, search).await
}

async fn catalog(session: &Session, search: &Search) -> Result<Vec<Hit>> {
    let host = session.endpoint.host();
    let mut hits: Vec<Hit> = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut tries = Tries::new(search.retry);
        let (body, link) = retrying(&mut tries, &|_| {}, async || {
            let mut response = match &next {
                None => session.get_of_registry("_catalog").await?,
                Some(link) => session.get_next(link, Ask::default()).await?,
            };
            let link = response.headers().get("link").and_then(|v| v.to_str().ok()).and_then(next_page);
            let what = format!("the catalog of {host}");
            Ok((read_limited(&mut response, &what, MANIFEST_MAX).await?, link))
        })
        .await?;
        let page: Catalog = serde_json::from_slice(&body).map_err(|e| {
            Error::new(Kind::Registry, format!("registry {host} sent no catalog")).caused_by(e)
        })?;
        for name in page.repositories.unwrap_or_default() {
            // The very name that was asked for comes first.
            let at = if name == search.term { 0 } else { hits.len() };
            if name.contains(&search.term) {
                hits.insert(at, Hit { name, ..Hit::default() });
            }
        }
        if hits.len() >= search.limit {
            break;
        }
        match link {
            Some(link) => next = Some(link),
            None => break,
        }
    }
    hits.truncate(search.limit);
    Ok(hits)
}
