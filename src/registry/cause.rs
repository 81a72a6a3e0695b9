//! The cause of a failure below HTTP, from the types of the libraries involved.

use rustls::AlertDescription;
use std::error::Error as StdError;
use std::io;

/// A reason that has a hint of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The registry wants another certificate of ours, or one at all.
    ClientCertificate,
    /// The registry's certificate does not verify.
    Certificate,
    /// What answered is not TLS.
    PlainHttp,
    /// Nothing listens there.
    Refused,
    /// The name has no address.
    Name,
    /// Another.
    Other,
}

impl Cause {
    /// Looks for it from the outermost error inwards.
    pub(super) fn of(failure: &reqwest::Error) -> Cause {
        let mut next: Option<&(dyn StdError + 'static)> = Some(failure);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return of_tls(tls);
            }
            let io = error.downcast_ref::<io::Error>();
            match io.map(io::Error::kind) {
                Some(io::ErrorKind::ConnectionRefused) => return Cause::Refused,
                // A server that expects another protocol hangs up.
                Some(io::ErrorKind::UnexpectedEof) if failure.is_connect() => return Cause::PlainHttp,
                _ => {}
            }
            // What an io::Error wraps is not its source, but stands before it.
            let wrapped = io.and_then(io::Error::get_ref).map(|inner| inner as &(dyn StdError + 'static));
            next = wrapped.or_else(|| error.source());
            if next.is_none() && is_no_record(error) {
                return Cause::Name;
            }
        }
        Cause::Other
    }

    /// Whether TLS was spoken and a certificate was not good enough.
    pub(super) fn is_certificate(self) -> bool {
        matches!(self, Cause::Certificate | Cause::ClientCertificate)
    }
}

fn of_tls(error: &rustls::Error) -> Cause {
    use AlertDescription as Alert;
    match error {
        rustls::Error::AlertReceived(
            Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateUnobtainable
            | Alert::CertificateRequired
            | Alert::BadCertificateStatusResponse
            | Alert::BadCertificateHashValue
            | Alert::UnknownCA
            | Alert::AccessDenied,
        ) => Cause::ClientCertificate,
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::InvalidCertRevocationList(_)
        | rustls::Error::NoCertificatesPresented => Cause::Certificate,
        rustls::Error::InvalidMessage(_) => Cause::PlainHttp,
        _ => Cause::Other,
    }
}

/// The resolver's type is hidden in the HTTP client; its words are about its protocol.
fn is_no_record(innermost: &(dyn StdError + 'static)) -> bool {
    let said = innermost.to_string();
    said.contains("record") && said.contains("Query")
}
