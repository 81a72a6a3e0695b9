//! The file that holds the policy.

use super::requirement::{KeyType, Policy, Requirement, SignedBy, SigstoreSigned};
use crate::error::{Error, Kind, Result};
use crate::registry::places::Places;
use crate::registry::rewrite::rewrite;
use crate::sys::read;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The policy in force, and where it stands.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    /// The file, if there is one.
    pub path: Option<PathBuf>,
    /// Its text.
    pub text: Vec<u8>,
    /// What it says; without a file everything is accepted.
    pub policy: Policy,
}

/// What to trust, as one word each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Everything.
    Accept,
    /// Nothing.
    Reject,
    /// What all of these GPG keys have signed.
    SignedBy(Vec<PathBuf>),
    /// What all of these sigstore keys have signed.
    SigstoreSigned(Vec<PathBuf>),
}

impl Trust {
    fn requirements(&self) -> Vec<Requirement> {
        match self {
            Trust::Accept => vec![Requirement::InsecureAcceptAnything {}],
            Trust::Reject => vec![Requirement::Reject {}],
            Trust::SignedBy(keys) => keys
                .iter()
                .map(|key| {
                    Requirement::SignedBy(SignedBy {
                        key_type: KeyType::Gpg,
                        key_path: Some(key.clone()),
                        key_paths: None,
                        key_data: None,
                        signed_identity: None,
                    })
                })
                .collect(),
            Trust::SigstoreSigned(keys) => keys
                .iter()
                .map(|key| SigstoreSigned { key_path: Some(key.clone()), ..SigstoreSigned::default() })
                .map(|signed| Requirement::SigstoreSigned(Box::new(signed)))
                .collect(),
        }
    }
}

/// The scope that stands for the policy's default.
const DEFAULT: &str = "default";

impl PolicyFile {
    /// Reads the user's policy or, if there is none, the administrator's.
    ///
    /// # Errors
    /// A file that cannot be read, or is not of the documented form: it may forbid what we would allow.
    pub fn load(places: &Places) -> Result<PolicyFile> {
        for path in [own(places), places.system.join("policy.json")] {
            match read::settings(&path) {
                Ok(text) => {
                    let policy = Policy::parse(&text).map_err(|e| malformed(&path, e))?;
                    return Ok(PolicyFile { path: Some(path), text, policy });
                }
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => {
                    return Err(
                        Error::new(Kind::Usage, format!("read policy {}", path.display())).caused_by(e)
                    );
                }
            }
        }
        Ok(PolicyFile { path: None, text: Vec::new(), policy: Policy::open() })
    }

    /// Sets what counts for a scope of registries, or for everything else with `default`, in the user's policy. One that
    /// is made begins as a copy of the administrator's, which it takes the place of.
    ///
    /// # Errors
    /// As [`PolicyFile::load`], and a file that cannot be written.
    pub fn set(places: &Places, scope: &str, trust: &Trust) -> Result<()> {
        rewrite(&own(places), "policy", |_| {
            let mut policy = PolicyFile::load(places)?.policy;
            let wanted = trust.requirements();
            match scope {
                DEFAULT => policy.default = wanted,
                scope => {
                    let docker = policy.transports.0.entry("docker".to_owned()).or_default();
                    docker.0.insert(scope.to_owned(), wanted);
                }
            }
            written(&policy).map(Some)
        })
        .map(drop)
    }
}

fn own(places: &Places) -> PathBuf {
    places.user.join("policy.json")
}

fn malformed(path: &Path, cause: Error) -> Error {
    Error::new(Kind::Usage, format!("{} is not a policy", path.display()))
        .caused_by(cause)
        .hint("See `man containers-policy.json` for its form.")
}

/// Indented as podman does it.
fn written(policy: &Policy) -> Result<String> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    serde::Serialize::serialize(policy, &mut serializer)
        .map_err(|e| Error::new(Kind::Usage, "write the policy as JSON").caused_by(e))?;
    text.push(b'\n');
    String::from_utf8(text).map_err(|e| Error::new(Kind::Usage, "write the policy as JSON").caused_by(e))
}
