//! Registry credentials: containers' `auth.json`, docker's `config.json`, credential helpers.
//!
//! All of this happens outside the process that talks to registries: helpers are programs, and a process with threads
//! never starts another (rule 1). Credentials are bound to the host for which they were found.

mod edit;
mod file;
mod helper;
mod keep;
mod key;
mod keyring;
mod secret;

pub use keep::{Forgotten, Keeper, Kept};
pub use key::LoginKey;
pub use secret::Credentials;

pub(super) use keyring::{FILES, Found, Keyring};

#[cfg(test)]
mod tests;
