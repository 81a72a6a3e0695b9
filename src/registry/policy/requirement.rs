//! The form of `policy.json`. Reading is strict: what is not known here refuses the whole file.

use super::identity::SignedIdentity;
use super::unique::Unique;
use crate::error::{Error, Kind, Result};
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The whole policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What counts where nothing else does.
    pub default: Vec<Requirement>,
    /// By transport (`docker`, `oci` ...), then by scope; the empty scope is the transport's default.
    #[serde(default, skip_serializing_if = "no_transports")]
    pub transports: Unique<Unique<Vec<Requirement>>>,
}

fn no_transports(transports: &Unique<Unique<Vec<Requirement>>>) -> bool {
    transports.0.is_empty()
}

/// One thing that must be true of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum Requirement {
    /// Nothing.
    InsecureAcceptAnything {},
    /// What is true of none.
    Reject {},
    /// It has a signature by GPG, "simple signing".
    SignedBy(SignedBy),
    /// It has a sigstore signature, as cosign makes them.
    SigstoreSigned(Box<SigstoreSigned>),
}

/// A signature by one of these GPG keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedBy {
    /// What the keys are.
    pub key_type: KeyType,
    /// A keyring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_path: Option<PathBuf>,
    /// Several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_paths: Option<Vec<PathBuf>>,
    /// A keyring in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_data: Option<String>,
    /// What the signature must be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_identity: Option<SignedIdentity>,
}

/// What GPG keys are called.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum KeyType {
    /// The only kind there is.
    #[serde(rename = "GPGKeys")]
    Gpg,
}

/// A sigstore signature by one of these keys or identities.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigstoreSigned {
    /// A public key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_path: Option<PathBuf>,
    /// Several, of which one must have signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_paths: Option<Vec<PathBuf>>,
    /// A public key, PEM in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_data: Option<String>,
    /// Several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_datas: Option<Vec<String>>,
    /// Certificates of a Fulcio server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fulcio: Option<Fulcio>,
    /// Certificates of an authority of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pki: Option<Pki>,
    /// The public key of a Rekor log that must have the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekor_public_key_path: Option<PathBuf>,
    /// Several, of which one must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekor_public_key_paths: Option<Vec<PathBuf>>,
    /// The same in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekor_public_key_data: Option<String>,
    /// Several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekor_public_key_datas: Option<Vec<String>>,
    /// What the signature must be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_identity: Option<SignedIdentity>,
}

/// Who must have signed, by a Fulcio certificate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fulcio {
    /// The server's authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_path: Option<PathBuf>,
    /// The same in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_data: Option<String>,
    /// Who vouched for the signer.
    #[serde(rename = "oidcIssuer", default, skip_serializing_if = "Option::is_none")]
    pub oidc_issuer: Option<String>,
    /// The signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_email: Option<String>,
}

/// Who must have signed, by a certificate of an authority of one's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pki {
    /// The authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_roots_path: Option<PathBuf>,
    /// The same in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_roots_data: Option<String>,
    /// Authorities between them and the signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_intermediates_path: Option<PathBuf>,
    /// The same in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_intermediates_data: Option<String>,
    /// The signer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_email: Option<String>,
    /// The signer, a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_hostname: Option<String>,
}

/// Public keys, wherever they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// In files.
    Files(Vec<PathBuf>),
    /// In the policy itself.
    Data(Vec<Vec<u8>>),
}

impl Policy {
    /// Accepts everything, as without a policy.
    pub fn open() -> Policy {
        Policy { default: vec![Requirement::InsecureAcceptAnything {}], transports: Unique::default() }
    }

    /// Reads and checks a policy.
    ///
    /// # Errors
    /// [`Kind::Usage`] for what containers-policy.json(5) does not have.
    pub fn parse(text: &[u8]) -> Result<Policy> {
        let policy: Policy = serde_json::from_slice(text)
            .map_err(|e| Error::new(Kind::Usage, e.to_string().replace('\n', " ")))?;
        let all = policy.transports.0.iter().flat_map(|(transport, scopes)| {
            scopes.0.iter().map(move |(scope, wanted)| (format!("{transport}:{scope}"), wanted))
        });
        for (scope, wanted) in std::iter::once(("default".to_owned(), &policy.default)).chain(all) {
            let bad = |why: &str| Error::new(Kind::Usage, format!("the requirements of {scope}: {why}"));
            if wanted.is_empty() {
                return Err(bad("there are none"));
            }
            if let Some(fault) = wanted.iter().find_map(Requirement::fault) {
                return Err(bad(&fault));
            }
        }
        if policy
            .transports
            .0
            .get("dir")
            .or(policy.transports.0.get("oci"))
            .is_some_and(|s| s.0.contains_key("/"))
        {
            return Err(Error::new(Kind::Usage, "the scope \"/\" is written \"\""));
        }
        Ok(policy)
    }
}

impl Requirement {
    fn fault(&self) -> Option<String> {
        let identity = match self {
            Requirement::InsecureAcceptAnything {} | Requirement::Reject {} => return None,
            Requirement::SignedBy(signed) => {
                let given =
                    [signed.key_path.is_some(), signed.key_paths.is_some(), signed.key_data.is_some()];
                if given.into_iter().filter(|given| *given).count() != 1 {
                    return Some("exactly one of keyPath, keyPaths and keyData must be specified".to_owned());
                }
                if signed.keys().is_none() {
                    return Some(BAD_KEYS.to_owned());
                }
                &signed.signed_identity
            }
            Requirement::SigstoreSigned(signed) => {
                if let Some(fault) = signed.fault() {
                    return Some(fault.to_owned());
                }
                &signed.signed_identity
            }
        };
        identity.as_ref().and_then(SignedIdentity::fault)
    }
}

const BAD_KEYS: &str = "a list of keys is empty, or keys are not base64";

impl SignedBy {
    /// The keys, one of which must have signed; `None` if they are malformed.
    pub fn keys(&self) -> Option<Keys> {
        keys(&self.key_path, &self.key_paths, &self.key_data, &None)
    }
}

impl SigstoreSigned {
    /// The keys, one of which must have signed; `None` if it is not by key, or they are malformed.
    pub fn keys(&self) -> Option<Keys> {
        keys(&self.key_path, &self.key_paths, &self.key_data, &self.key_datas)
    }

    fn fault(&self) -> Option<&'static str> {
        let by_key = [
            self.key_path.is_some(),
            self.key_paths.is_some(),
            self.key_data.is_some(),
            self.key_datas.is_some(),
        ];
        let by_key = by_key.into_iter().filter(|given| *given).count();
        let by_certificate = usize::from(self.fulcio.is_some()) + usize::from(self.pki.is_some());
        if by_key + by_certificate != 1 {
            return Some(
                "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki must be specified",
            );
        }
        if by_key == 1 && self.keys().is_none() {
            return Some(BAD_KEYS);
        }
        if let Some(fulcio) = &self.fulcio {
            if fulcio.ca_path.is_some() == fulcio.ca_data.is_some() {
                return Some("fulcio: exactly one of caPath and caData must be specified");
            }
            if fulcio.oidc_issuer.is_none() || fulcio.subject_email.is_none() {
                return Some("fulcio: oidcIssuer and subjectEmail must be specified");
            }
            if !self.has_rekor_key() {
                return Some("fulcio: a public key of Rekor must be specified");
            }
        }
        if let Some(pki) = &self.pki {
            if pki.ca_roots_path.is_some() == pki.ca_roots_data.is_some() {
                return Some("pki: exactly one of caRootsPath and caRootsData must be specified");
            }
            if pki.subject_email.is_none() && pki.subject_hostname.is_none() {
                return Some("pki: subjectEmail or subjectHostname must be specified");
            }
        }
        None
    }

    /// Whether a log must have the signature.
    pub fn has_rekor_key(&self) -> bool {
        self.rekor_public_key_path.is_some()
            || self.rekor_public_key_paths.is_some()
            || self.rekor_public_key_data.is_some()
            || self.rekor_public_key_datas.is_some()
    }
}

fn keys(
    path: &Option<PathBuf>,
    paths: &Option<Vec<PathBuf>>,
    data: &Option<String>,
    datas: &Option<Vec<String>>,
) -> Option<Keys> {
    let decoded = |text: &String| base64::engine::general_purpose::STANDARD.decode(text).ok();
    match (path, paths, data, datas) {
        (Some(path), ..) => Some(Keys::Files(vec![path.clone()])),
        (_, Some(paths), ..) => Some(Keys::Files(paths.clone())).filter(|_| !paths.is_empty()),
        (_, _, Some(data), _) => Some(Keys::Data(vec![decoded(data)?])),
        (.., Some(datas)) => {
            let all: Option<Vec<Vec<u8>>> = datas.iter().map(decoded).collect();
            all.filter(|all| !all.is_empty()).map(Keys::Data)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_read_and_written_back() {
        let text = r#"{"default":[{"type":"reject"}],"transports":{"atomic":{"h:5000/x":[{"type":"signedBy",
            "keyType":"GPGKeys","keyData":"YWJj","signedIdentity":{"type":"exactRepository","dockerRepository":"v.io/p"}}]},
            "dir":{"":[{"type":"insecureAcceptAnything"}]},
            "docker":{"*.t.example.com":[{"type":"insecureAcceptAnything"}],
            "a.io":[{"type":"signedBy","keyType":"GPGKeys","keyPaths":["/a","/b"]},{"type":"reject"}],
            "b.io":[{"type":"sigstoreSigned","keyDatas":["YQ==","Yg=="],"rekorPublicKeyPath":"/r",
              "signedIdentity":{"type":"matchRepository"}}],
            "c.io":[{"type":"sigstoreSigned","fulcio":{"caPath":"/c","oidcIssuer":"https://i","subjectEmail":"a@b"},
              "rekorPublicKeyDatas":["YQ=="]}],
            "d.io":[{"type":"sigstoreSigned","pki":{"caRootsPath":"/c","subjectHostname":"h.example"}}]}}}"#;
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let written = serde_json::to_string(&policy).unwrap();
        assert_eq!(Policy::parse(written.as_bytes()).unwrap(), policy);
        let plain: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), plain);
        let open = serde_json::to_string(&Policy::open()).unwrap();
        assert_eq!(open, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#);
    }

    #[test]
    fn anything_else_refuses_the_file() {
        let docker = |wanted: &str| {
            format!(r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{"a.io":{wanted}}}}}}}"#)
        };
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"default":[]}"#,
            r#"{"default":[{"type":"accept"}]}"#,
            r#"{"default":[{"type":"reject","x":1}]}"#,
            r#"{"default":[{"type":"reject"}],"other":1}"#,
            r#"{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}"#,
            r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a.io":[{"type":"reject"}],"a.io":[{"type":"insecureAcceptAnything"}]}}}"#,
            &docker("[]"),
            &docker(r#"[{"type":"signedBy","keyType":"GPGKeys"}]"#),
            &docker(r#"[{"type":"signedBy","keyType":"X509","keyPath":"/a"}]"#),
            &docker(r#"[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/a","keyData":"YQ=="}]"#),
            &docker(r#"[{"type":"signedBy","keyType":"GPGKeys","keyPaths":[]}]"#),
            &docker(r#"[{"type":"signedBy","keyType":"GPGKeys","keyData":"%"}]"#),
            &docker(
                r#"[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/a","signedIdentity":{"type":"x"}}]"#,
            ),
            &docker(r#"[{"type":"sigstoreSigned"}]"#),
            &docker(r#"[{"type":"sigstoreSigned","keyPath":"/a","fulcio":{"caPath":"/a"}}]"#),
            &docker(
                r#"[{"type":"sigstoreSigned","fulcio":{"caPath":"/a","oidcIssuer":"i","subjectEmail":"e"}}]"#,
            ),
            &docker(r#"[{"type":"sigstoreSigned","keyPath":"/a","typo":1}]"#),
        ] {
            assert!(Policy::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
