//! Requests to one registry: scheme, redirects, authorization, and the meaning of status codes.
//!
//! Theory of operation. A [`Session`] talks to one origin (scheme, host, port). Secrets are sent only to that
//! origin: redirects are followed here, without the authorization or the client certificate once they leave it,
//! and never from https to http. A 401 from the origin starts [`super::token`], so a token that expires in the
//! middle of a pull is replaced. The TLS client is built at the first request, because loading the system's
//! certificate authorities takes milliseconds.

use super::answer::{deepest, read_limited, unreachable};
use super::cause::Cause;
use super::client::{REDIRECTS_MAX, Tls, client, redirect_target};
use super::endpoint::{Endpoint, Security};
use super::retry::{self, Trouble};
use super::shown::printable;
use super::tls::{self, Trust};
use super::token::Authorizer;
use crate::error::{Error, Kind, Result, phrases};
use crate::image::Digest;
use oci_client::errors::{OciEnvelope, OciErrorCode};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Body, Client, Method, Response, StatusCode, Url};
use std::cell::{Cell, OnceCell};
use std::sync::Arc;

/// How often one request may ask for a new token while the registry lets nobody in: once because it has none
/// or it ran out, once more because the answer to a request beside it, which has used it up, may be on its way.
const RENEWALS_MAX: usize = 2;
/// Largest error document that is read.
const ERROR_MAX: u64 = 64 << 10;

/// A conversation with one registry.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) endpoint: Endpoint,
    base: Url,
    clients: Clients,
    authorizer: Authorizer,
    /// Whether any answer has come yet.
    answered: Cell<bool>,
    /// How many requests were not asked for authorization.
    let_in: Cell<u64>,
}

/// What sends requests. Made once for both schemes: to load the system's authorities takes milliseconds.
struct Clients {
    pair: Pair,
    /// What they were made of.
    tls: (Option<Tls>, Tls),
    /// The same for requests that take long to send.
    patient: OnceCell<Pair>,
}

/// Two ways to send requests.
#[derive(Debug)]
struct Pair {
    /// For the registry itself.
    own: Client,
    /// For the hosts it redirects to, and token servers: without the client certificate.
    other: Client,
}

impl std::fmt::Debug for Clients {
    /// Keeps the private key out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients(..)")
    }
}

impl Pair {
    fn new(endpoint: &Endpoint, (own, other): (Option<Tls>, Tls), patient: bool) -> Result<Pair> {
        let name = format!("registry {}", endpoint.host());
        let made = |tls| client(&name, endpoint.api_host(), tls, patient);
        let other = made(other)?;
        let own = own.map_or_else(|| Ok(other.clone()), made)?;
        Ok(Pair { own, other })
    }
}

impl Clients {
    fn new(endpoint: &Endpoint, scheme: &str) -> Result<Clients> {
        let identity = endpoint.certs.identity.as_ref().map(|(path, pem)| (path.as_path(), pem.as_slice()));
        let (own, other) = match endpoint.security {
            Security::Insecure => {
                let identity = identity.map(|(path, pem)| tls::identity(path, pem)).transpose()?;
                (identity.map(|identity| Tls::Unchecked(Some(identity))), Tls::Unchecked(None))
            }
            Security::Verified | Security::Loopback => match Trust::new(&endpoint.certs).map(Arc::new) {
                Ok(trust) => {
                    let own = identity.map(|own| tls::configuration(trust.clone(), Some(own))).transpose()?;
                    (own.map(Tls::checked), Tls::checked(tls::configuration(trust, None)?))
                }
                // A machine without authorities can speak plain http all the same.
                Err(_) if scheme == "http" => (None, Tls::None),
                Err(e) => return Err(e),
            },
        };
        let pair = Pair::new(endpoint, (own.clone(), other.clone()), false)?;
        Ok(Clients { pair, tls: (own, other), patient: OnceCell::new() })
    }

    /// The client for a request to the registry itself, or to another host.
    fn choose(&self, endpoint: &Endpoint, own: bool, patient: bool) -> Result<&Client> {
        let pair = match (patient, self.patient.get()) {
            (false, _) => &self.pair,
            (true, Some(made)) => made,
            (true, None) => {
                let made = Pair::new(endpoint, self.tls.clone(), true)?;
                self.patient.get_or_init(|| made)
            }
        };
        Ok(if own { &pair.own } else { &pair.other })
    }
}

/// What to request besides the path.
#[derive(Clone, Copy, Default)]
pub(super) struct Ask<'a> {
    /// The `Accept` header.
    pub accept: Option<&'a str>,
    /// First byte wanted.
    pub from: Option<u64>,
    /// What is done with it.
    pub verb: Verb,
    /// What is sent.
    pub content: Option<Content<'a>>,
}

/// What is done with what a URL names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Verb {
    #[default]
    Get,
    Head,
    Post,
    Patch,
    Put,
}

/// The body of a request.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    /// Its media type.
    pub media_type: &'a str,
    /// Its length in bytes, if that is known.
    pub length: Option<u64>,
    /// Its place in the whole: the first and the last byte (distribution spec, end-5).
    pub range: Option<(u64, u64)>,
    /// Makes it; once more for each try.
    pub body: &'a dyn Fn() -> Body,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Verb::Get => Method::GET,
            Verb::Head => Method::HEAD,
            Verb::Post => Method::POST,
            Verb::Patch => Method::PATCH,
            Verb::Put => Method::PUT,
        }
    }

    /// Whether a redirect with this status has the same request sent to another place (RFC 9110 section 15.4).
    fn follows(self, status: u16) -> bool {
        match self {
            Verb::Get | Verb::Head => matches!(status, 301 | 302 | 303 | 307 | 308),
            _ => matches!(status, 307 | 308),
        }
    }
}

impl Session {
    /// Finds out how to speak to the registry.
    ///
    /// # Errors
    /// No scheme that is allowed works.
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Session> {
        let mut first_failure = None;
        let schemes: &[&str] = match endpoint.security {
            Security::Verified => &["https"],
            Security::Loopback | Security::Insecure => &["https", "http"],
        };
        let mut clients = None;
        for scheme in schemes {
            let made = match clients.take() {
                Some(made) => Ok(made),
                None => Clients::new(endpoint, scheme),
            };
            let session = match made.and_then(|clients| Session::with_scheme(endpoint, scheme, clients)) {
                Ok(session) => session,
                // A machine without authorities can still reach a plain registry.
                Err(e) if schemes.len() > 1 => {
                    first_failure.get_or_insert(e);
                    continue;
                }
                Err(e) => return Err(e),
            };
            if schemes.len() == 1 {
                return Ok(session);
            }
            let ping = session.base.join("v2/").map_err(|e| bad_url(endpoint.host(), &e))?;
            match session.clients.pair.own.get(ping).send().await {
                // What a TLS server says to plain http.
                Ok(answer) if *scheme == "http" && answer.status() == StatusCode::BAD_REQUEST => {}
                Ok(_) => {
                    session.answered.set(true);
                    return Ok(session);
                }
                // A server that speaks TLS with a certificate we do not trust is not asked in clear text.
                Err(e) if endpoint.security == Security::Loopback && Cause::of(&e).is_certificate() => {
                    return Err(session.unreachable(&e));
                }
                Err(e) => {
                    first_failure.get_or_insert(session.unreachable(&e));
                }
            }
            clients = Some(session.clients);
        }
        Err(first_failure.unwrap_or_else(|| Error::new(Kind::Registry, "no scheme to use")))
    }

    fn with_scheme(endpoint: &Endpoint, scheme: &str, clients: Clients) -> Result<Session> {
        let text = format!("{scheme}://{}/", endpoint.api_host());
        let base = Url::parse(&text).map_err(|e| bad_url(endpoint.host(), &e))?;
        let authorizer = Authorizer::new(endpoint, &base);
        let (answered, let_in) = (Cell::new(false), Cell::new(0));
        Ok(Session { endpoint: endpoint.clone(), base, clients, authorizer, answered, let_in })
    }

    /// Asks for `/v2/<repository>/<what>`.
    ///
    /// # Errors
    /// Every answer but a success, with what is known about trying again.
    pub(super) async fn get(&self, what: &str, ask: Ask<'_>) -> Result<Response, Trouble> {
        self.ask(self.url(what)?, what, ask).await
    }

    /// The URL of `/v2/<repository>/<what>`.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn url(&self, what: &str) -> Result<Url> {
        // Built from a parsed reference and a parsed digest or tag: there is nothing to escape.
        let path = format!("v2/{}/{what}", self.endpoint.reference.path());
        self.base.join(&path).map_err(|e| bad_url(self.endpoint.host(), &e))
    }

    /// Has tokens be good for this, too.
    pub(super) fn widen(&self, scope: String) {
        self.authorizer.widen(scope);
    }

    /// Asks for `/v2/<what>`, which belongs to no repository.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub(super) async fn get_of_registry(&self, what: &str) -> Result<Response, Trouble> {
        let url = self.base.join(&format!("v2/{what}")).map_err(|e| bad_url(self.endpoint.host(), &e))?;
        self.ask(url, what, Ask::default()).await
    }

    /// Asks for something that a registry may not have, without credentials; `None` unless it answers with success.
    ///
    /// # Errors
    /// No answer at all.
    pub(super) async fn get_unasked(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<Response>> {
        let mut url = self.base.join(path).map_err(|e| bad_url(self.endpoint.host(), &e))?;
        url.query_pairs_mut().extend_pairs(query);
        let (response, _) = self.follow(url, Ask::default()).await.map_err(|trouble| trouble.error)?;
        Ok(response.status().is_success().then_some(response))
    }

    /// Asks for the signatures that the registry keeps of a manifest; `None` unless it says that it keeps some.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub(super) async fn get_signatures(&self, manifest: &Digest) -> Result<Option<Response>, Trouble> {
        let answer = self.get_of_registry("").await?;
        if answer.headers().get("x-registry-supports-signatures").is_none_or(|value| value != "1") {
            return Ok(None);
        }
        let path = format!("extensions/v2/{}/signatures/{manifest}", self.endpoint.reference.path());
        let url = self.base.join(&path).map_err(|e| bad_url(self.endpoint.host(), &e))?;
        self.ask(url, "signatures", Ask::default()).await.map(Some)
    }

    /// Whether the registry, or its token server, refuses the user's credentials.
    pub(super) fn refuses_credentials(&self) -> bool {
        self.authorizer.refused()
    }

    /// Asks for the URL of a following page, which must be on the registry itself.
    ///
    /// # Errors
    /// As [`Session::get`], and a page elsewhere.
    pub(super) async fn get_next(&self, link: &str, ask: Ask<'_>) -> Result<Response, Trouble> {
        let url = self.base.join(link).map_err(|e| bad_url(self.endpoint.host(), &e))?;
        if !self.is_own(&url) {
            let message = format!("registry {} has its next page elsewhere: {link:?}", self.endpoint.host());
            return Err(Error::new(Kind::Registry, message).into());
        }
        self.ask(url, link, ask).await
    }

    /// Sends a request to a URL that the registry has named; `what` is for messages. Secrets go along if it is the
    /// registry's own.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub(super) async fn ask(&self, url: Url, what: &str, ask: Ask<'_>) -> Result<Response, Trouble> {
        let (mut renewals, mut let_in) = (0, self.let_in.get());
        loop {
            let ticket = self.authorizer.ticket();
            let (response, at) = self.follow(url.clone(), ask).await?;
            let challenged = response.status() == StatusCode::UNAUTHORIZED && self.is_own(&at);
            if !challenged {
                self.let_in.update(|count| count + 1);
                return self.judge(response, what).await;
            }
            // Tokens do help: others were faster to use them. Their number ends this.
            if let_in < self.let_in.get() {
                (renewals, let_in) = (0, self.let_in.get());
            }
            if renewals >= RENEWALS_MAX {
                return self.judge(response, what).await;
            }
            // A header that another request has renewed meanwhile does not count.
            renewals += usize::from(
                self.authorizer.renew(ticket, response.headers(), &self.clients.pair.other).await?,
            );
        }
    }

    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Sends the request and follows redirects; returns the last answer and where it came from.
    async fn follow(&self, mut url: Url, ask: Ask<'_>) -> Result<(Response, Url), Trouble> {
        for _ in 0..=REDIRECTS_MAX {
            let own = self.is_own(&url);
            let client = self.clients.choose(&self.endpoint, own, ask.content.is_some())?;
            let mut headers = HeaderMap::new();
            if let Some(accept) = ask.accept {
                headers.insert(header::ACCEPT, header_value(accept)?);
            }
            if let Some(from) = ask.from {
                headers.insert(header::RANGE, header_value(&format!("bytes={from}-"))?);
            }
            if own && let Some(authorization) = self.authorizer.header() {
                headers.insert(header::AUTHORIZATION, authorization);
            }
            let mut request = client.request(ask.verb.method(), url.clone());
            if let Some(content) = ask.content {
                headers.insert(header::CONTENT_TYPE, header_value(content.media_type)?);
                if let Some(length) = content.length {
                    headers.insert(header::CONTENT_LENGTH, length.into());
                }
                if let Some((first, last)) = content.range {
                    headers.insert(header::CONTENT_RANGE, header_value(&format!("{first}-{last}"))?);
                }
                request = request.body((content.body)());
            } else if ask.verb != Verb::Get && ask.verb != Verb::Head {
                headers.insert(header::CONTENT_LENGTH, 0.into());
            }
            let response = request.headers(headers).send().await.map_err(|e| {
                let error = self.unreachable(&e);
                // A host that was never reached will not be in a second: do not keep people waiting.
                let hopeless = e.is_connect() && !e.is_timeout() && !self.answered.get();
                if hopeless { Trouble::lasting(error) } else { Trouble::passing(error) }
            })?;
            self.answered.set(true);
            // Without the query, which may be as good as a password.
            let (origin, path) = (url.origin().ascii_serialization(), url.path());
            log::debug!("{origin}{path} answers {}", response.status());
            if !ask.verb.follows(response.status().as_u16()) {
                return Ok((response, url));
            }
            url = self.redirect(&url, &response)?;
        }
        let message = format!("registry {} redirects in circles", self.endpoint.host());
        Err(Error::new(Kind::Registry, message).into())
    }

    fn redirect(&self, from: &Url, response: &Response) -> Result<Url> {
        let location = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
        redirect_target(from, location).map_err(|why| {
            Error::new(Kind::Registry, format!("registry {} redirects {why}", self.endpoint.host()))
        })
    }

    /// Turns every status but success into words; `what` was asked for.
    async fn judge(&self, mut response: Response, what: &str) -> Result<Response, Trouble> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let asked = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok());
        let after = asked.and_then(|v| retry::retry_after(v, chrono::Utc::now()));
        // The body only improves the message.
        let body = read_limited(&mut response, "the answer", ERROR_MAX).await.unwrap_or_default();
        let envelope: Option<OciEnvelope> = serde_json::from_slice(&body).ok();
        let first = envelope.as_ref().and_then(|e| e.errors.first());
        let said = first.map(|e| printable(&e.message)).filter(|m| !m.is_empty());
        let host = self.endpoint.host();
        let words = said.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned());
        let code = status.as_u16();
        let lasting = |error| Trouble { error, retry: false, after, status: Some(code) };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(lasting(self.authorizer.denied(&words))),
            StatusCode::NOT_FOUND => {
                let unknown = first.is_some_and(|e| e.code == OciErrorCode::NameUnknown);
                Err(lasting(self.not_found(what, unknown)))
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(lasting(Error::new(Kind::Registry, format!("registry {host} refuses to resume"))))
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                let error = Error::new(Kind::Registry, format!("registry {host} answered {code}: {words}"));
                Err(lasting(error.hint(
                    "The registry, or a proxy in front of it, limits the size of uploads (nginx: \
                     client_max_body_size). Raise the limit there.",
                )))
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let mut error =
                    Error::new(Kind::Registry, format!("registry {host} limits our requests: {words}"));
                if self.endpoint.found.credentials.is_none() {
                    error = error.hint(super::token::login_hint(host));
                }
                Err(Trouble { error, retry: true, after, status: Some(code) })
            }
            _ => {
                let error = Error::new(Kind::Registry, format!("registry {host} answered {code}: {words}"));
                let retry = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
                Err(Trouble { error, retry, after, status: Some(code) })
            }
        }
    }

    /// What the registry lacks: the repository, the requested object, or a part of it.
    fn not_found(&self, what: &str, repository_unknown: bool) -> Error {
        let (host, reference) = (self.endpoint.host(), &self.endpoint.reference);
        let repository = reference.repository();
        let missing = |part: String| {
            Error::new(Kind::NotFound, format!("registry {host} lacks {part} of {repository}"))
                .hint("The image is incomplete there: push it again, or tell whoever made it.")
        };
        match what.split_once('/') {
            Some(("blobs", upload)) if upload.starts_with("uploads") => {
                return Error::new(
                    Kind::NotFound,
                    format!("registry {host} takes no uploads for {repository}, or has lost one"),
                )
                .hint("Check the name. Some registries want the repository to be made first.");
            }
            Some(("blobs", digest)) => return missing(format!("blob {digest}")),
            // Not what the user wrote, but what an index names.
            Some(("manifests", digest))
                if digest.contains(':') && reference.digest().is_none_or(|d| d.as_str() != digest) =>
            {
                return missing(format!("manifest {digest}"));
            }
            _ => {}
        }
        let wanted = reference.asked_for();
        let separator = if reference.digest().is_some() { '@' } else { ':' };
        let whole = format!("{repository}{separator}{wanted}");
        let error = match repository_unknown {
            true => phrases::no_repository(wanted, &repository),
            false => phrases::no_manifest(wanted, &repository, &whole),
        };
        error.hint("Check the name and the tag.")
    }

    /// A connection that broke in the middle of an answer, in words.
    pub(super) fn broken(&self, failure: &reqwest::Error) -> Error {
        Error::new(Kind::Registry, format!("the connection to registry {} broke", self.endpoint.host()))
            .caused_by(Error::new(Kind::Registry, deepest(failure)))
    }

    /// A failure below HTTP, in words.
    pub(super) fn unreachable(&self, failure: &reqwest::Error) -> Error {
        unreachable(self.endpoint.host(), failure)
    }
}

fn bad_url(host: &str, why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Registry, format!("registry {host}: {why}"))
}

fn header_value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Error::new(Kind::Registry, "a header has forbidden characters"))
}
