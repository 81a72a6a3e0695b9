//! What the policy demands of one image, with the keys read, and whether signatures satisfy it.

use super::gpg;
use super::identity::SignedIdentity;
use super::payload::{self, Format};
use super::requirement::{Keys, Policy, Requirement};
use super::sigstore::PublicKey;
use crate::error::{Context, Error, Kind, Result};
use crate::image::{Digest, Reference};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Signatures that must be there; none where the policy accepts anything.
#[derive(Debug, Clone, Default)]
pub struct Demand(Vec<Signed>);

#[derive(Debug, Clone)]
enum Signed {
    Gpg { keyrings: Vec<Vec<u8>>, identity: SignedIdentity },
    Sigstore { keys: Vec<PublicKey>, identity: SignedIdentity },
}

/// The signatures that were found for a manifest; none of them is verified.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signatures {
    /// The manifest of the image for this platform.
    pub manifest: Digest,
    /// Signed messages by GPG.
    pub gpg: Vec<Vec<u8>>,
    /// Payloads with their signatures in base64.
    pub sigstore: Vec<(Vec<u8>, String)>,
}

impl Demand {
    /// Reads the keys for an image.
    ///
    /// # Errors
    /// The policy rejects the image, keys cannot be read, or it demands what cannot be checked here.
    pub fn of(policy: &Policy, image: &Reference) -> Result<Demand> {
        let mut demand = Demand::default();
        for wanted in policy.of(image) {
            demand.0.push(match wanted {
                Requirement::InsecureAcceptAnything {} => continue,
                Requirement::Reject {} => return Err(rejected(image, "is rejected by policy.")),
                Requirement::SignedBy(signed) => Signed::Gpg {
                    keyrings: read(signed.keys())?,
                    identity: signed.signed_identity.clone().unwrap_or_default(),
                },
                Requirement::SigstoreSigned(signed) => {
                    let unsupported = |what: &str| {
                        Err(rejected(image, &format!("needs a signature with {what}, which cannot be checked."))
                            .hint("Have the policy name keys: coracle image trust set -t sigstoreSigned -f FILE REGISTRY"))
                    };
                    if signed.fulcio.is_some() {
                        return unsupported("a certificate (Fulcio)");
                    }
                    if signed.pki.is_some() {
                        return unsupported("a certificate (PKI)");
                    }
                    if signed.has_rekor_key() {
                        return unsupported("an entry in a log (Rekor)");
                    }
                    let keys = read(signed.keys())?;
                    let parsed = keys.iter().map(|key| {
                        PublicKey::parse(key)
                            .ok_or_else(|| Error::new(Kind::Usage, "a key that the policy names is not a public key in PEM"))
                    });
                    Signed::Sigstore {
                        keys: parsed.collect::<Result<_>>()?,
                        identity: signed.signed_identity.clone().unwrap_or_default(),
                    }
                }
            });
        }
        Ok(demand)
    }

    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether signatures by GPG are demanded.
    pub fn wants_gpg(&self) -> bool {
        self.0.iter().any(|signed| matches!(signed, Signed::Gpg { .. }))
    }

    /// Whether sigstore signatures are demanded.
    pub fn wants_sigstore(&self) -> bool {
        self.0.iter().any(|signed| matches!(signed, Signed::Sigstore { .. }))
    }

    /// Checks that every demand has a signature that satisfies it. `work` makes an empty directory for gpg, which may
    /// run; so the calling process must have one thread.
    ///
    /// # Errors
    /// [`Kind::Image`] if one has none; no gpg.
    pub fn verify<D: AsRef<Path>>(
        &self,
        image: &Reference,
        found: &Signatures,
        work: impl Fn() -> Result<D>,
    ) -> Result<()> {
        for signed in &self.0 {
            let mut reasons = Vec::new();
            let satisfied = match signed {
                Signed::Gpg { keyrings, identity } => {
                    let home = work()?;
                    gpg::prepare(home.as_ref(), keyrings)?;
                    let mut satisfied = false;
                    for signature in &found.gpg {
                        let checked = gpg::verify(home.as_ref(), signature)?.and_then(|payload| {
                            payload::check(&payload, Format::Simple, &found.manifest, image, identity)
                        });
                        satisfied |= checked.is_ok();
                        reasons.extend(checked.err());
                    }
                    satisfied
                }
                Signed::Sigstore { keys, identity } => found.sigstore.iter().any(|(payload, signature)| {
                    let checked = match keys.iter().any(|key| key.has_signed(payload, signature)) {
                        true => payload::check(payload, Format::Sigstore, &found.manifest, image, identity),
                        false => Err("it is by another key".to_owned()),
                    };
                    let good = checked.is_ok();
                    reasons.extend(checked.err());
                    good
                }),
            };
            if !satisfied {
                let why = match reasons.as_slice() {
                    [] => "A signature was required, but no signature exists".to_owned(),
                    [only] => format!("the signature does not satisfy the policy: {only}"),
                    all => {
                        format!("none of {} signatures satisfies the policy: {}", all.len(), all.join("; "))
                    }
                };
                return Err(Error::new(Kind::Image, format!("Source image rejected: {image}: {why}"))
                    .naming_image()
                    .hint("See what is required: coracle image trust show"));
            }
        }
        Ok(())
    }
}

fn rejected(image: &Reference, why: &str) -> Error {
    let name = if image.digest().is_some() { image.to_string() } else { image.canonical() };
    Error::new(Kind::Image, format!("Source image rejected: Running image docker://{name} {why}"))
        .naming_image()
        .hint("See what is required: coracle image trust show")
}

/// The keys themselves. All files must be there: with one missing the policy would be another.
fn read(keys: Option<Keys>) -> Result<Vec<Vec<u8>>> {
    match keys {
        None => Ok(Vec::new()),
        Some(Keys::Data(data)) => Ok(data),
        Some(Keys::Files(files)) => files
            .iter()
            .map(|file| {
                crate::sys::read::settings(file)
                    .context(Kind::Usage, || format!("read {}, a key that the policy names", file.display()))
            })
            .collect(),
    }
}
