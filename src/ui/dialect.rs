//! Who this process is: its own name, or podman's or docker's when it is called by one of them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

/// By which name this process was called, through a symbolic link say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Its own, or any other.
    Coracle,
    /// `podman`.
    Podman,
    /// `docker`.
    Docker,
}

/// By which name this process was called.
pub fn identity() -> Identity {
    identity_of(&std::env::args_os().next().unwrap_or_default())
}

fn identity_of(program: &OsStr) -> Identity {
    match Path::new(program).file_name().and_then(OsStr::to_str) {
        Some("podman") => Identity::Podman,
        Some("docker") => Identity::Docker,
        _ => Identity::Coracle,
    }
}

/// Whether this process was called `docker`.
pub fn docker() -> bool {
    identity() == Identity::Docker
}

/// The exit code of a verb in docker's dialect: 125 is for `run` and for invalid command lines, any
/// other failure is 1.
pub fn docker_exit_code(code: ExitCode) -> ExitCode {
    if code == ExitCode::from(125) { ExitCode::FAILURE } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        for (program, identity) in [
            ("coracle", Identity::Coracle),
            ("/usr/local/bin/podman", Identity::Podman),
            ("docker", Identity::Docker),
            ("./bin/docker-compose", Identity::Coracle),
            ("", Identity::Coracle),
        ] {
            assert_eq!(identity_of(OsStr::new(program)), identity, "{program}");
        }
    }

    #[test]
    fn codes_are_dockers() {
        assert_eq!(docker_exit_code(ExitCode::from(125)), ExitCode::FAILURE);
        assert_eq!(docker_exit_code(ExitCode::from(2)), ExitCode::from(2));
        assert!(!docker());
    }
}
