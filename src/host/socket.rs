//! Where programs look for the socket of this account's container engine.

use nix::unistd::geteuid;
use std::path::{Component, Path, PathBuf};

/// The account's directory for volatile files: `$XDG_RUNTIME_DIR`, or where it usually is.
fn directory() -> PathBuf {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    named.unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", geteuid())))
}

/// The socket's place, whether or not there is one: where docker without root has its own.
pub fn socket() -> PathBuf {
    directory().join("docker.sock")
}

/// Whether a socket is one of this account's own.
pub(super) fn is_own(path: &Path) -> bool {
    path.starts_with(directory()) && !path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_the_account_are_its_own() {
        assert!(is_own(&socket()) && is_own(&directory().join("podman/podman.sock")));
        assert!(!is_own(Path::new("/var/run/docker.sock")) && !is_own(&directory().join("../x.sock")));
    }
}
