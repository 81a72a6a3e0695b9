//! What a command that removes several things ends with (podman-volume-rm(1), podman-network-rm(1)).

use crate::error::{Error, Kind};
use std::process::ExitCode;

/// Something does not exist.
const MISSING: u8 = 1;
/// A container uses something.
const IN_USE: u8 = 2;

/// The worst of what has failed: anything else, then in use, then missing.
#[derive(Debug, Default)]
pub(super) struct Worst(u8);

impl Worst {
    /// Counts a failure.
    pub(super) fn add(&mut self, error: &Error) {
        self.0 = match (error.kind(), self.0) {
            (Kind::NotFound, 0) => MISSING,
            (Kind::NotFound, before) => before,
            (Kind::Conflict, 0 | MISSING) => IN_USE,
            (Kind::Conflict, before) => before,
            (kind, _) => kind.exit_code(),
        };
    }
}

impl From<Worst> for ExitCode {
    fn from(worst: Worst) -> ExitCode {
        ExitCode::from(worst.0)
    }
}
