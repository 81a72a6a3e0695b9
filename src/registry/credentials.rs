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

/// Reads the contents of a credentials file, and every entry of it.
#[cfg(any(test, fuzzing))]
pub(super) fn read_all(text: &[u8]) {
    let path = std::path::Path::new("x");
    if let Ok(file) = file::AuthFile::parse(text, path) {
        for (key, entry) in &file.auths {
            let _ = entry.read(path, key);
            let _ = file::key_host(key);
        }
    }
}
