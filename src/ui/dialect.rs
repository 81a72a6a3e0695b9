//! Whose dialect this process speaks: podman's, or docker's when it is called by that name.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

/// Whether this process was called `docker`, through a symbolic link say.
pub fn docker() -> bool {
    std::env::args_os().next().is_some_and(|name| Path::new(&name).file_name() == Some(OsStr::new("docker")))
}

/// The exit code of a verb as docker has it: 125 is for `run` and for command lines that are wrong, any
/// other failure is 1.
pub fn docker_exit_code(code: ExitCode) -> ExitCode {
    if code == ExitCode::from(125) { ExitCode::FAILURE } else { code }
}

/// An image's name as docker shows it: without its own registry, and without the tag that goes without
/// saying.
pub fn short_image_name(name: &str) -> &str {
    let name =
        name.strip_prefix("docker.io/library/").or_else(|| name.strip_prefix("docker.io/")).unwrap_or(name);
    name.strip_suffix(":latest").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_dockers() {
        assert_eq!(short_image_name("docker.io/library/alpine:latest"), "alpine");
        assert_eq!(short_image_name("docker.io/team/app:1"), "team/app:1");
        assert_eq!(short_image_name("quay.io/a/b:latest"), "quay.io/a/b");
        assert_eq!(docker_exit_code(ExitCode::from(125)), ExitCode::FAILURE);
        assert_eq!(docker_exit_code(ExitCode::from(2)), ExitCode::from(2));
        assert!(!docker());
    }
}
