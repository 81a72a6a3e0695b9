//! Which images are trusted: showing and changing the policy.

use crate::engine::Engine;
use crate::error::Result;
use crate::registry::policy::{Keys, Lookasides, PolicyFile, Requirement, owners};
use crate::sys::read;

pub use crate::registry::policy::Trust;

/// One requirement of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRow {
    /// The transport; `None` for the policy's default.
    pub transport: Option<String>,
    /// The scope; empty for all of the transport.
    pub scope: String,
    /// What is required, in the words of the policy.
    pub kind: &'static str,
    /// Whose keys must have signed; `None` where keys have no owners.
    pub owners: Option<String>,
    /// Where signatures are looked for.
    pub store: Option<String>,
}

/// The policy as it is shown.
#[derive(Debug, Clone)]
pub struct TrustShown {
    /// A row for each requirement.
    pub rows: Vec<TrustRow>,
    /// The file as it is; empty if there is none.
    pub text: Vec<u8>,
}

impl Engine<'_> {
    /// The policy in force.
    ///
    /// # Errors
    /// Configuration that cannot be read or is malformed.
    pub fn trust(&self) -> Result<TrustShown> {
        let places = self.places();
        let file = PolicyFile::load(&places)?;
        let lookasides = Lookasides::load(&places)?;
        let row = |transport: Option<&String>, scope: &str, wanted: &Requirement| {
            let (kind, owners) = described(wanted);
            let store = lookasides.of_scope(scope).store;
            TrustRow { transport: transport.cloned(), scope: scope.to_owned(), kind, owners, store }
        };
        let mut rows: Vec<TrustRow> =
            file.policy.default.iter().map(|wanted| row(None, "", wanted)).collect();
        for (transport, scopes) in &file.policy.transports.0 {
            for (scope, wanted) in &scopes.0 {
                rows.extend(wanted.iter().map(|wanted| row(Some(transport), scope, wanted)));
            }
        }
        Ok(TrustShown { rows, text: file.text })
    }

    /// Sets what counts for a registry or a part of it, or with `default` for everything else.
    ///
    /// # Errors
    /// A policy that cannot be read, is malformed or cannot be written.
    pub fn set_trust(&self, scope: &str, trust: &Trust) -> Result<()> {
        PolicyFile::set(&self.places(), scope, trust)
    }
}

fn described(wanted: &Requirement) -> (&'static str, Option<String>) {
    match wanted {
        Requirement::InsecureAcceptAnything {} => ("insecureAcceptAnything", Some(String::new())),
        Requirement::Reject {} => ("reject", Some(String::new())),
        Requirement::SigstoreSigned(_) => ("sigstoreSigned", None),
        Requirement::SignedBy(signed) => {
            let rings: Vec<Vec<u8>> = match signed.keys() {
                // One that is not there has no owner; whether that matters a pull will tell.
                Some(Keys::Files(files)) => {
                    files.iter().filter_map(|file| read::settings(file).ok()).collect()
                }
                Some(Keys::Data(data)) => data,
                None => Vec::new(),
            };
            let names: Vec<String> = rings.iter().flat_map(|ring| owners(ring)).collect();
            ("signedBy", Some(names.join(", ")))
        }
    }
}
