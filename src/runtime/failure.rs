//! Failures of the store, as the facts that a stage reports.

use crate::fork::Failure;

pub(super) fn storage_failure(doing: &str, object: &str, error: &crate::error::Error) -> Failure {
    Failure::other(doing, object, error.in_one_line()).advised_by(error)
}
