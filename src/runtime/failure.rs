//! Failures of the store, as facts that a stage reports.

use crate::error::Error;
use crate::fork::{Failure, What};

pub(super) fn storage_failure<'a>(doing: impl Into<What<'a>>, object: &str, error: &Error) -> Failure {
    Failure::other(doing, object, error.in_one_line()).advised_by(error)
}
