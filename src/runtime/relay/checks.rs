//! Health checks, driven by the loop.

use crate::spec::health::OnFailure;
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// The series of checks of one run. Dropped, it ends with whatever is under way.
pub trait HealthChecks {
    /// When the next check is to begin.
    fn due(&self) -> Option<Instant>;

    /// Whether the last check found the container healthy.
    fn well(&self) -> bool;

    /// Readable when a check is over.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Begins a check.
    fn begin(&mut self);

    /// Takes note of a check that is over; returns what is to follow.
    fn finish(&mut self) -> OnFailure;
}
