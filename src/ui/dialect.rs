//! The dialect of this process: podman's, or docker's when called by that name.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

/// Whether this process was called `docker`, through a symbolic link say.
pub fn docker() -> bool {
    std::env::args_os().next().is_some_and(|name| Path::new(&name).file_name() == Some(OsStr::new("docker")))
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
    fn codes_are_dockers() {
        assert_eq!(docker_exit_code(ExitCode::from(125)), ExitCode::FAILURE);
        assert_eq!(docker_exit_code(ExitCode::from(2)), ExitCode::from(2));
        assert!(!docker());
    }
}
