//! Responses: reading bodies of limited size, and explaining responses that did not arrive.

use super::cause::Cause;
use super::retry::Trouble;
use crate::error::{Error, Kind, Result, errno_words};
use crate::failpoint::hastened;
use nix::errno::Errno;
use reqwest::Response;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Longest wait for a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest silence before and in the middle of an answer.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Words for a failure below HTTP, with the hint that fits.
pub(super) fn unreachable(host: &str, failure: &reqwest::Error) -> Error {
    let error = Error::new(Kind::Registry, format!("pinging container registry {host}"))
        .caused_by(Error::new(Kind::Registry, deepest(failure)));
    match Cause::of(failure) {
        Cause::ClientCertificate => error.hint(format!(
            "It asks for another client certificate: put one with its key into \
             ~/.config/containers/certs.d/{host}/ as NAME.cert and NAME.key, or use --cert-dir DIR."
        )),
        Cause::Certificate => error.hint(format!(
            "Put the registry's authority into ~/.config/containers/certs.d/{host}/ca.crt, or use --tls-verify=false."
        )),
        Cause::PlainHttp => error
            .hint("If it speaks plain http, use --tls-verify=false or `insecure = true` in registries.conf."),
        cause => match unreached(cause) {
            Some(hint) => error.hint(hint),
            None => error,
        },
    }
}

/// What to look at where any server cannot be reached.
pub(super) fn unreached(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::Refused => Some("Nothing listens there: check the host and the port."),
        Cause::Name => Some("Check the name, the network connection, and HTTPS_PROXY if there is a proxy."),
        _ => None,
    }
}

/// The innermost cause, which says what happened.
pub(super) fn deepest(failure: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = failure;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if failure.is_timeout() && failure.is_connect() {
        format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())
    } else if failure.is_timeout() {
        format!("it has said nothing for {} s", READ_TIMEOUT.as_secs())
    } else if Cause::of(failure) == Cause::Name {
        format!(
            "lookup {}: no such host",
            failure.url().and_then(reqwest::Url::host_str).unwrap_or("the registry")
        )
    } else {
        let errno = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        errno.map_or_else(|| cause.to_string(), |errno| errno_words(Errno::from_raw(errno)))
    }
}

/// Reads a body of at most `max` bytes; `what` names it in a failure.
///
/// # Errors
/// A broken connection, a longer body, or one that takes too long.
pub(super) async fn read_limited(response: &mut Response, what: &str, max: u64) -> Result<Vec<u8>, Trouble> {
    let long = || Trouble::lasting(Error::new(Kind::Registry, format!("{what} is longer than {max} bytes")));
    if response.content_length().is_some_and(|n| n > max) {
        return Err(long());
    }
    let mut body = Vec::new();
    let begun = Instant::now();
    loop {
        let left = patience(body.len()).saturating_sub(begun.elapsed());
        let Ok(chunk) = timeout(left, response.chunk()).await else {
            let why =
                format!("{what} came too slowly: {} bytes in {} s", body.len(), begun.elapsed().as_secs());
            return Err(Trouble::passing(Error::new(Kind::Registry, why)));
        };
        match chunk {
            Ok(Some(chunk)) if (body.len() + chunk.len()) as u64 > max => return Err(long()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(e) => {
                let host = response.url().authority().to_owned();
                return Err(Trouble::passing(
                    Error::new(Kind::Registry, format!("the connection to {host} broke"))
                        .caused_by(Error::new(Kind::Registry, deepest(&e))),
                ));
            }
        }
    }
}

/// How long a body may take of which so many bytes have come: as long as a silence, and a second for each KiB. So a
/// server that sends a byte now and then keeps nobody.
fn patience(bytes: usize) -> Duration {
    hastened(READ_TIMEOUT + Duration::from_secs(bytes as u64 / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_now_and_then_is_not_waited_for() {
        assert_eq!(patience(0), READ_TIMEOUT);
        assert_eq!(patience(60), READ_TIMEOUT, "a byte a second");
        assert!(patience(4 << 20) >= Duration::from_secs(3600), "a large document over a slow line");
    }
}
