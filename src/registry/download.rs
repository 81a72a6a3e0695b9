//! Downloads a file of any web server: what ADD and build contexts name by an address.
//!
//! Theory of operation. As with the blobs of a registry, failed transfers are tried again and interrupted ones
//! resumed. But nothing promises what the file is, and it may change in between. So it is resumed only under a
//! condition (`If-Range`, RFC 9110 section 13.1.5) on what told its version, and otherwise taken from the start.
//! Likewise a file that was downloaded before is asked for with its [`Validator`], and not sent if it is the same.
//! A user name and a password are sent to the origin that they were given for; a redirect elsewhere loses them.

use super::answer::{deepest, unreached};
use super::cause::Cause;
use super::certs::{self, HostCerts};
use super::client::{REDIRECTS_MAX, Tls, client, redirect_target};
use super::credentials::Credentials;
use super::retry::{self, Pace, RetryPolicy, Tries, Trouble};
use super::runner::block_on;
use super::shown::printable;
use super::tls::{self, Trust};
use crate::error::{Error, Kind, Result};
use chrono::DateTime;
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that count as headway.
const HEADWAY: u64 = 64 << 10;
/// Shortest time between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// Longest header of a server that is kept, in bytes.
const HEADER_MAX: usize = 1024;

/// Whom TLS trusts, where that is not the usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebTrust {
    /// Everybody.
    pub unchecked: bool,
    /// Those whose certificates are in this directory, too; with a client certificate, if one is there.
    pub cert_dir: Option<PathBuf>,
}

/// Certificates as PEM, for a program that speaks TLS itself.
#[derive(Clone, PartialEq, Eq)]
pub struct WebCertificates {
    /// Those of all that are trusted, the system's authorities among them.
    pub trusted: Vec<u8>,
    /// Our own, with its key.
    pub own: Option<Vec<u8>>,
}

impl std::fmt::Debug for WebCertificates {
    /// Keeps the private key out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebCertificates(..)")
    }
}

impl WebTrust {
    /// The certificates, where others are trusted than usual.
    ///
    /// # Errors
    /// A file that cannot be read, or a certificate without its key.
    pub fn certificates(&self) -> Result<Option<WebCertificates>> {
        let Some(dir) = &self.cert_dir else { return Ok(None) };
        let HostCerts { authorities, identity } = certs::read(dir)?;
        let mut trusted = tls::system_authorities();
        for (_, pem) in authorities {
            trusted.extend(pem);
            trusted.push(b'\n');
        }
        Ok(Some(WebCertificates { trusted, own: identity.map(|(_, pem)| pem) }))
    }
}

/// What is downloaded, and how.
#[derive(Debug, Clone)]
pub struct WebFile {
    /// Its address, of http or https.
    pub url: String,
    /// The address as messages show it: without anything that may be secret.
    pub shown: String,
    /// For its origin; a token is none.
    pub credentials: Option<Credentials>,
    /// What is known of it from before.
    pub known: Option<Validator>,
    /// How often and after which wait it is tried again.
    pub retry: RetryPolicy,
    /// Whom TLS trusts.
    pub trust: WebTrust,
}

/// What tells one version of a file from another (RFC 9110 section 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// `ETag`, as it came.
    pub etag: Option<String>,
    /// `Last-Modified`, as it came.
    pub last_modified: Option<String>,
}

impl Validator {
    fn of(headers: &HeaderMap) -> Validator {
        let text = |name| text(headers, &name);
        Validator { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
    }

    /// What makes sure that a part belongs to the rest: a strong tag.
    fn strong(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| tag.starts_with('"'))
    }
}

/// What a server said about a file that was downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downloaded {
    /// For the next time.
    pub validator: Validator,
    /// When it was last changed, in seconds since 1970.
    pub modified: Option<i64>,
    /// The name that the server gives it (`Content-Disposition`), as it came.
    pub disposition: Option<String>,
}

/// Takes a file's bytes.
pub trait Sink {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they cannot be kept.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// What came is of no use: it begins again with the first byte.
    ///
    /// # Errors
    /// When that cannot be done.
    fn restart(&mut self) -> Result<()>;
}

/// Downloads a file; `None` when it is the one that is known. `report` is told the bytes so far, and how many there
/// are if the server said so. Starts a runtime: to be called in a leaf.
///
/// # Errors
/// The server does not deliver it, or the sink takes no more.
pub fn download(
    wanted: &WebFile,
    sink: &mut dyn Sink,
    report: &dyn Fn(u64, Option<u64>),
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Downloaded>> {
    let url = Url::parse(&wanted.url);
    let url =
        url.map_err(|_| Error::new(Kind::Usage, format!("{:?} is not a valid address", wanted.shown)))?;
    let mut transfer = Transfer {
        wanted,
        clients: Clients { trust: None, loopback: None, other: None },
        position: 0,
        validator: Validator::default(),
    };
    block_on(stopped, async {
        let mut tries = Tries::new(wanted.retry);
        loop {
            let before = transfer.position;
            match transfer.attempt(&url, sink, report).await {
                Ok(done) => return Ok(done),
                Err(trouble) => {
                    if transfer.position >= before + HEADWAY {
                        tries.headway();
                    }
                    let why = trouble.error.in_one_line();
                    let wait = tries.after(trouble)?;
                    log::info!("{why}; trying again in {wait:?}");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    })
}

struct Transfer<'a> {
    wanted: &'a WebFile,
    clients: Clients,
    /// Bytes that the sink has.
    position: u64,
    /// Which version they are of.
    validator: Validator,
}

impl Transfer<'_> {
    async fn attempt(
        &mut self,
        url: &Url,
        sink: &mut dyn Sink,
        report: &dyn Fn(u64, Option<u64>),
    ) -> Result<Option<Downloaded>, Trouble> {
        if self.position > 0 && self.validator.strong().is_none() {
            self.restart(sink)?;
        }
        let mut response = self.follow(url).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED if self.wanted.known.is_some() => return Ok(None),
            StatusCode::PARTIAL_CONTENT if self.position > 0 => {
                if first_byte(response.headers()) != Some(self.position) {
                    self.restart(sink)?;
                    return Err(Trouble::passing(self.failed("the server resumes at the wrong place")));
                }
            }
            // All of it, in the version of now.
            StatusCode::OK => self.restart(sink)?,
            _ => return Err(self.refused(&response)),
        }
        self.validator = Validator::of(response.headers());
        let told = Downloaded {
            validator: self.validator.clone(),
            modified: self.validator.last_modified.as_deref().and_then(seconds),
            disposition: text(response.headers(), &header::CONTENT_DISPOSITION),
        };
        let total = response.content_length().map(|rest| self.position + rest);
        let (mut pace, mut last) = (Pace::new(), Instant::now());
        report(self.position, total);
        while let Some(chunk) = response.chunk().await.map_err(|e| Trouble::passing(self.broken(&e)))? {
            if pace.is_too_slow(chunk.len() as u64) {
                return Err(Trouble::passing(self.failed(&format!("it came too slowly: {}", Pace::LIMIT))));
            }
            sink.write(&chunk)?;
            self.position += chunk.len() as u64;
            if last.elapsed() >= REPORT_EVERY {
                last = Instant::now();
                report(self.position, total);
            }
        }
        report(self.position, total);
        Ok(Some(told))
    }

    fn restart(&mut self, sink: &mut dyn Sink) -> Result<()> {
        if self.position > 0 {
            self.position = 0;
            sink.restart()?;
        }
        Ok(())
    }

    /// Sends the request and follows redirects.
    async fn follow(&mut self, first: &Url) -> Result<Response, Trouble> {
        let mut url = first.clone();
        for _ in 0..=REDIRECTS_MAX {
            let client = self.clients.of(&url, self.wanted)?;
            // Compressed on the way, it would be another file.
            let mut request = client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
            if url.origin() == first.origin()
                && let Some(Credentials::Password { user, password }) = &self.wanted.credentials
            {
                request = request.basic_auth(user, Some(password));
            }
            let response = self.conditions(request).send().await.map_err(|e| {
                let hopeless = e.is_connect() && !e.is_timeout() && self.position == 0;
                let error = self.unreachable(&e);
                if hopeless { Trouble::lasting(error) } else { Trouble::passing(error) }
            })?;
            log::debug!("{}{} answers {}", url.origin().ascii_serialization(), url.path(), response.status());
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
            url = redirect_target(&url, location)
                .map_err(|why| Trouble::lasting(self.failed(&format!("the server redirects {why}"))))?;
        }
        Err(Trouble::lasting(self.failed("the server redirects in circles")))
    }

    /// Adds what the answer depends on.
    fn conditions(&self, request: RequestBuilder) -> RequestBuilder {
        if let (1.., Some(tag)) = (self.position, self.validator.strong()) {
            let range = format!("bytes={}-", self.position);
            return request.header(header::RANGE, range).header(header::IF_RANGE, tag);
        }
        match &self.wanted.known {
            Some(Validator { etag: Some(tag), .. }) => request.header(header::IF_NONE_MATCH, tag),
            Some(Validator { last_modified: Some(time), .. }) => {
                request.header(header::IF_MODIFIED_SINCE, time)
            }
            _ => request,
        }
    }

    /// Every status but success, in words.
    fn refused(&self, response: &Response) -> Trouble {
        let status = response.status();
        let after = text(response.headers(), &header::RETRY_AFTER);
        let after = after.and_then(|value| retry::retry_after(&value, chrono::Utc::now()));
        let reason = status.canonical_reason().unwrap_or("no reason given");
        let words = format!("the server answered {}: {}", status.as_u16(), printable(reason));
        let missing = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        let error = self.failed(&words).of_kind(if missing { Kind::NotFound } else { Kind::Registry });
        let passing = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        Trouble { error, retry: status.is_server_error() || passing, after, status: Some(status.as_u16()) }
    }

    fn failed(&self, why: &str) -> Error {
        Error::new(Kind::Registry, format!("download {}", self.wanted.shown))
            .caused_by(Error::new(Kind::Registry, why))
    }

    fn broken(&self, failure: &reqwest::Error) -> Error {
        self.failed(&format!("the connection broke: {}", deepest(failure)))
    }

    fn unreachable(&self, failure: &reqwest::Error) -> Error {
        let error = self.failed(&deepest(failure));
        match unreached(Cause::of(failure)) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// What sends requests, made when it is needed: to load the system's authorities takes milliseconds.
struct Clients {
    trust: Option<Arc<Trust>>,
    /// Without a proxy.
    loopback: Option<Client>,
    other: Option<Client>,
}

impl Clients {
    fn of(&mut self, url: &Url, wanted: &WebFile) -> Result<Client> {
        let host = url.host_str().unwrap_or_default();
        let place = if super::endpoint::is_loopback(host) { &mut self.loopback } else { &mut self.other };
        if let Some(made) = place {
            return Ok(made.clone());
        }
        let certs = match &wanted.trust.cert_dir {
            Some(dir) => certs::read(dir)?,
            None => HostCerts::default(),
        };
        let own = certs.identity.as_ref().map(|(path, pem)| (path.as_path(), pem.as_slice()));
        if wanted.trust.unchecked {
            let identity = own.map(|(path, pem)| tls::identity(path, pem)).transpose()?;
            let made = client(&wanted.shown, host, Tls::Unchecked(identity), false)?;
            *place = Some(made.clone());
            return Ok(made);
        }
        if self.trust.is_none() {
            match Trust::new(&certs) {
                Ok(trust) => self.trust = Some(Arc::new(trust)),
                // A machine without authorities can speak plain http all the same.
                Err(e) if url.scheme() == "http" => log::debug!("{e}"),
                Err(e) => return Err(e),
            }
        }
        let tls = match &self.trust {
            Some(trust) => Tls::checked(tls::configuration(trust.clone(), own)?),
            None => return client(&wanted.shown, host, Tls::None, false),
        };
        let made = client(&wanted.shown, host, tls, false)?;
        *place = Some(made.clone());
        Ok(made)
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= HEADER_MAX).then(|| value.to_owned())
}

/// The place of the first byte that a part of a file has (`Content-Range`).
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.trim().parse().ok()
}

/// A time of HTTP (RFC 9110 section 5.6.7) in seconds since 1970.
fn seconds(time: &str) -> Option<i64> {
    DateTime::parse_from_rfc2822(time.trim()).ok().map(|time| time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_are_written() {
        let mut headers = HeaderMap::new();
        assert_eq!(first_byte(&headers), None);
        for (value, first) in [("bytes 7-9/10", Some(7)), ("bytes */10", None), ("items 1-2/3", None)] {
            headers.insert(header::CONTENT_RANGE, value.parse().unwrap());
            assert_eq!(first_byte(&headers), first, "{value}");
        }
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(1_445_412_480));
        assert_eq!(seconds("yesterday"), None);
        headers.insert(header::ETAG, "x".repeat(HEADER_MAX + 1).parse().unwrap());
        assert_eq!(Validator::of(&headers), Validator::default());
    }

    #[test]
    fn a_part_needs_a_strong_tag() {
        let tagged = |tag: &str| Validator { etag: Some(tag.to_owned()), ..Validator::default() };
        assert_eq!(tagged("\"a\"").strong(), Some("\"a\""));
        assert_eq!(tagged("W/\"a\"").strong(), None);
        assert_eq!(Validator::default().strong(), None);
    }
}
