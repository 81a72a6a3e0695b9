//! Who this process is: its own name, or podman's or docker's when it is called by one of them.

use crate::error::{Error, FAILED, Kind};
use std::process::ExitCode;

pub use crate::sys::process::{Identity, identity};

/// Whether this process was called `docker`.
pub fn docker() -> bool {
    identity() == Identity::Docker
}

/// A failure and its causes in one line.
pub(super) fn words(error: &Error) -> String {
    if docker() { error.in_dockers_words() } else { error.in_one_line() }
}

/// What that line begins with.
pub(super) fn beginning(error: &Error) -> &'static str {
    if docker() && error.is_engines() { "Error response from daemon" } else { "Error" }
}

/// The exit code of a failure of ours among several objects.
pub(super) fn failed() -> ExitCode {
    if docker() { ExitCode::FAILURE } else { ExitCode::from(FAILED) }
}

/// What a verb's exit code tells in docker's dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// The payload's, or 125 to 127: `run`.
    Run,
    /// The payload's, 126 or 127, or 1: `exec`.
    Exec,
    /// The payload's, or 1: `start` and `attach`.
    Attached,
    /// 0 or 1.
    Success,
}

/// The exit code of a verb's failure in docker's dialect.
pub fn docker_failure(kind: Kind, verb: Telling) -> ExitCode {
    match (verb, kind) {
        (_, Kind::OutputClosed | Kind::OutputLost) => ExitCode::from(kind.exit_code()),
        (Telling::Run, Kind::NoSuchUser) => ExitCode::from(FAILED),
        (Telling::Run, _) => ExitCode::from(kind.exit_code()),
        (Telling::Exec, Kind::NotExecutable | Kind::CommandNotFound | Kind::NoSuchUser) => {
            ExitCode::from(kind.exit_code())
        }
        _ => ExitCode::FAILURE,
    }
}

/// The exit code that a verb gave, in docker's dialect.
pub fn docker_exit_code(code: ExitCode, verb: Telling) -> ExitCode {
    if verb == Telling::Success && code != ExitCode::SUCCESS { ExitCode::FAILURE } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dockers() {
        let success = |code| docker_exit_code(ExitCode::from(code), Telling::Success);
        assert_eq!([success(0), success(2), success(125)], [0, 1, 1].map(ExitCode::from));
        assert_eq!(docker_exit_code(ExitCode::from(125), Telling::Exec), ExitCode::from(125));
        for (kind, run, exec, attached) in [
            (Kind::NotFound, 125, 1, 1),
            (Kind::NotRunning, 255, 1, 1),
            (Kind::NoSuchUser, 125, 126, 1),
            (Kind::NotExecutable, 126, 126, 1),
            (Kind::CommandNotFound, 127, 127, 1),
            (Kind::OutputClosed, 141, 141, 141),
        ] {
            let verbs = [Telling::Run, Telling::Exec, Telling::Attached];
            let codes = verbs.map(|verb| docker_failure(kind, verb));
            assert_eq!(codes, [run, exec, attached].map(ExitCode::from), "{kind:?}");
        }
        assert!(!docker());
    }
}
