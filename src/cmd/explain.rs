//! Explains failures that the machine causes, after they have happened.

use crate::error::Error;
use crate::fork::{Failure, Step};
use crate::host::{self, Env, Symptom};

/// Adds what `host` knows about the system call at the bottom of a failure. Only now is the machine
/// looked at: a command that works asks nothing.
pub(super) fn explained(error: Error, env: &Env) -> Error {
    if !error.hints().is_empty() {
        return error;
    }
    let cures = match Failure::below(&error) {
        Some(failure) => {
            let symptom = Symptom { step: failure.step(), object: &failure.object, errno: failure.errno };
            host::cures(&symptom, &env.roots)
        }
        None => match bottom_errno(&error) {
            Some(errno) => host::cures(&Symptom { step: Step::Other, object: "", errno }, &env.roots),
            None => Vec::new(),
        },
    };
    cures.into_iter().fold(error, Error::hint)
}

/// The errno at the bottom of a chain of causes.
fn bottom_errno(error: &Error) -> Option<i32> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut found = None;
    while let Some(cause) = next {
        let io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        found = io.or_else(|| cause.downcast_ref::<nix::errno::Errno>().map(|e| *e as i32)).or(found);
        next = cause.source();
    }
    found
}
