//! TLS with a registry: whose certificates are trusted, and which one is ours.
//!
//! Theory of operation. Chains of certificates are verified by webpki, from the system's authorities and those
//! given for the host. webpki never takes the certificate of an authority for that of a server, but `openssl req
//! -x509`, a common recipe for a registry of one's own, makes one that is both. So a certificate that is itself
//! among the trusted ones, byte for byte, needs no chain: whoever put it there has already said that it is the
//! server's. Its dates, which are the first thing that webpki looks at, and the server's name still count.

use super::certs::HostCerts;
use crate::error::{Context, Error, Kind, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};
use std::path::Path;
use std::sync::Arc;

/// Whose certificates are trusted.
#[derive(Debug)]
pub(super) struct Trust {
    chains: Arc<WebPkiServerVerifier>,
    known: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Trusts the system's authorities and those given for a host.
    ///
    /// # Errors
    /// A file without a certificate in it; a system without authorities when none are given.
    pub(super) fn new(certs: &HostCerts) -> Result<Trust> {
        let mut roots = RootCertStore::empty();
        let mut known = Vec::new();
        for (path, pem) in &certs.authorities {
            for certificate in certificates(path, pem)? {
                roots.add(certificate.clone()).context(Kind::Registry, || no_certificate(path))?;
                known.push(certificate);
            }
        }
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            log::warn!("read a certificate authority of the system: {error}");
        }
        roots.add_parsable_certificates(system.certs.iter().cloned());
        known.extend(system.certs);
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        Ok(Trust { chains: chains.map_err(no_authorities)?, known })
    }

    /// Whether the server's own certificate is one of the trusted, where a chain leads nowhere.
    fn is_known(&self, certificate: &CertificateDer<'_>, refused: &TlsError) -> bool {
        use CertificateError::{Other, UnknownIssuer};
        matches!(refused, TlsError::InvalidCertificate(UnknownIssuer | Other(_)))
            && self.known.iter().any(|known| known == certificate)
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(refused) if self.is_known(end_entity, &refused) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.chains.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.chains.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// The system's authorities as PEM (RFC 7468).
pub(super) fn system_authorities() -> Vec<u8> {
    const LINE: usize = 64;
    let mut text = String::new();
    for authority in rustls_native_certs::load_native_certs().certs {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(authority);
        for line in encoded.as_bytes().chunks(LINE) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text.into_bytes()
}

/// How TLS is spoken with a server that is trusted so; `identity` is our certificate with its key, PEM.
///
/// # Errors
/// An identity that is none.
pub(super) fn configuration(trust: Arc<Trust>, identity: Option<(&Path, &[u8])>) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context(Kind::Registry, || "prepare TLS")?
        .dangerous()
        .with_custom_certificate_verifier(trust);
    let mut configuration = match identity {
        None => builder.with_no_client_auth(),
        Some((path, pem)) => {
            let key = PrivateKeyDer::from_pem_slice(pem).context(Kind::Registry, || no_identity(path))?;
            let identified = builder.with_client_auth_cert(certificates(path, pem)?, key);
            identified.context(Kind::Registry, || no_identity(path))?
        }
    };
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}

/// Our certificate with its key, for servers that are not verified.
///
/// # Errors
/// As [`configuration`].
pub(super) fn identity(path: &Path, pem: &[u8]) -> Result<Identity> {
    Identity::from_pem(pem).context(Kind::Registry, || no_identity(path))
}

fn no_identity(path: &Path) -> String {
    format!("{} and its key are no client certificate", path.display())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn no_authorities(why: VerifierBuilderError) -> Error {
    Error::new(Kind::Registry, "the system has no certificate authorities")
        .caused_by(why)
        .hint("If it is the system's authorities that are missing, install the package ca-certificates.")
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.context(Kind::Registry, || no_certificate(path))?;
    if all.is_empty() {
        return Err(Error::new(Kind::Usage, no_certificate(path))
            .hint("Give it in PEM form, between lines BEGIN CERTIFICATE and END CERTIFICATE."));
    }
    Ok(all)
}

fn no_certificate(path: &Path) -> String {
    format!("{} holds no certificate", path.display())
}
