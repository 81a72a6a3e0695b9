//! What sends requests: how TLS is spoken, proxies, time-outs, and which redirects are followed.

use super::answer::{CONNECT_TIMEOUT, READ_TIMEOUT, deepest};
use super::endpoint::is_loopback;
use crate::error::{Error, Kind, Result};
use crate::failpoint::hastened;
use reqwest::{Client, Identity, Url};
use rustls::ClientConfig;
use std::net::IpAddr;

const USER_AGENT: &str = concat!("coracle/", env!("CARGO_PKG_VERSION"));
/// Redirects that are followed for one request.
pub(super) const REDIRECTS_MAX: usize = 8;

/// How a client speaks TLS.
#[derive(Clone)]
pub(super) enum Tls {
    /// With those it trusts.
    Checked(Box<ClientConfig>),
    /// With anybody, which the user has said for this host.
    Unchecked(Option<Identity>),
    /// Not at all.
    None,
}

impl Tls {
    pub(super) fn checked(configuration: ClientConfig) -> Tls {
        Tls::Checked(Box::new(configuration))
    }
}

/// Makes one for a host with an optional port; `name` is what messages call the host. A `patient` one waits for an
/// answer as long as it is given: the time in which a request is sent counts as silence to the others.
pub(super) fn client(name: &str, host: &str, tls: Tls, patient: bool) -> Result<Client> {
    // A second call finds it installed; the process-wide default is what reqwest asks for.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .retry(reqwest::retry::never())
        .referer(false);
    if !patient {
        builder = builder.read_timeout(hastened(READ_TIMEOUT));
    }
    if is_loopback(host) {
        // A proxy would reach its own loopback.
        builder = builder.no_proxy();
    }
    builder = match tls {
        Tls::Checked(tls) => builder.tls_backend_preconfigured(*tls),
        Tls::Unchecked(None) => builder.tls_danger_accept_invalid_certs(true),
        Tls::Unchecked(Some(identity)) => builder.tls_danger_accept_invalid_certs(true).identity(identity),
        Tls::None => builder.tls_certs_only([]),
    };
    builder.build().map_err(|e| {
        let message = format!("prepare the connection to {name}");
        Error::new(Kind::Registry, message).caused_by(Error::new(Kind::Registry, deepest(&e)))
    })
}

/// Where a redirect leads, or why it is not followed.
pub(super) fn redirect_target(from: &Url, location: Option<&str>) -> Result<Url, String> {
    let to = location.and_then(|l| from.join(l).ok()).ok_or("to nowhere")?;
    if is_here(&to) && !is_here(from) {
        // What listens there may trust whoever comes from this machine.
        return Err(format!("to this machine ({})", to.host_str().unwrap_or_default()));
    }
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(to),
        // Its host alone: an address may hold a password.
        ("https", "http") => Err(format!("from https to plain http ({})", to.host_str().unwrap_or_default())),
        (_, scheme) => Err(format!("to a {scheme} URL")),
    }
}

/// Whether a connection to the host of a URL stays on this machine.
fn is_here(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_only() {
        for yes in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1:5000", "[::2]:5000", "r.io"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[test]
    fn case_13_redirects_do_not_leave_encryption() {
        let to = |from: &str, location| redirect_target(&Url::parse(from).unwrap(), location);
        assert_eq!(to("https://r.io/v2/", Some("/x")).unwrap().as_str(), "https://r.io/x");
        assert_eq!(to("https://r.io/", Some("https://cdn.io/b")).unwrap().as_str(), "https://cdn.io/b");
        assert!(to("http://127.0.0.1/", Some("http://127.0.0.1:9/b")).is_ok());
        let refused = to("https://r.io/", Some("http://me:secret@r.io/b")).unwrap_err();
        assert!(refused.contains("plain http") && !refused.contains("secret"));
        assert!(to("https://r.io/", Some("file:///etc/passwd")).is_err());
        for here in [
            "https://127.0.0.1/",
            "http://localhost:2375/",
            "https://[::1]:5/x",
            "https://127.9.9.9",
            "https://0.0.0.0/",
            "https://[::ffff:127.0.0.1]/",
            "https://0x7f.1/",
        ] {
            for from in ["https://r.io/", "http://10.0.0.1/"] {
                assert!(to(from, Some(here)).unwrap_err().contains("to this machine"), "{from} {here}");
            }
        }
        assert!(to("https://localhost/", Some("https://127.0.0.1/")).is_ok());
        assert!(to("https://r.io/", None).is_err());
    }
}
