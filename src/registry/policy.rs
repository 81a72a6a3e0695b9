//! Which images are accepted: the signature verification policy, `policy.json` (containers-policy.json(5)), and where
//! signatures are kept, `registries.d` (containers-registries.d(5)).
//!
//! The policy is read from the user's file or, if there is none, the administrator's; without either everything is
//! accepted. Of all scopes that an image is in, only the most specific counts. All of its requirements must hold.

mod demand;
mod gpg;
mod identity;
mod lookaside;
mod openpgp;
mod payload;
mod place;
mod requirement;
mod scope;
mod sigstore;
mod store;
mod unique;

pub use demand::{Demand, Signatures};
pub use identity::SignedIdentity;
pub use lookaside::{Lookaside, Lookasides};
pub use openpgp::owners;
pub use requirement::{Fulcio, KeyType, Keys, Pki, Policy, Requirement, SignedBy, SigstoreSigned};
pub use store::{PolicyFile, Trust};
