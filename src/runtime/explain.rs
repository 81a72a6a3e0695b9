//! Turns failures of stages into messages and exit codes.

use crate::error::{Error, Kind, phrases};
use crate::fork::{Failure, Step};
use nix::errno::Errno;

/// The exit code for a failed start or exec: 127 not found, 126 not executable, no such user or a working
/// directory that cannot be entered, else 125.
pub fn exit_code(failure: &Failure) -> u8 {
    match (failure.step(), failure.errno()) {
        (Step::Execute | Step::EnterDirectory, Errno::ENOENT) => 127,
        (Step::Execute | Step::FindAccount | Step::FindDirectory | Step::EnterDirectory, _) => 126,
        _ => 125,
    }
}

/// Puts a failed stage into words; a command that could not be executed has its own.
pub fn explain_exec(failure: Failure) -> Error {
    match exit_code(&failure) {
        127 if failure.step() == Step::EnterDirectory => phrases::no_directory_to_enter(&failure.object)
            .hint("Name a directory that is in the container, such as /: coracle exec -w / CONTAINER COMMAND"),
        126 if matches!(failure.step(), Step::FindDirectory | Step::EnterDirectory) => {
            Error::from(failure).of_kind(Kind::NotExecutable)
        }
        127 => {
            phrases::program_not_found(&failure.object)
                .hint("The command must be a program of the image, in its PATH or with its full path.")
        }
        _ if failure.step() == Step::FindAccount => Error::new(Kind::NoSuchUser, failure.describe()).hint(
            "Names come from /etc/passwd and /etc/group in the container; numbers need no name, such as -u 1000:1000",
        ),
        126 => phrases::not_executable(&failure.object).caused_by(failure),
        _ => failure.into(),
    }
}
