//! Reading what is there, and again what has come since, until nothing more will.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// How far a reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Pass {
    /// Nothing was looked at since all that was there was given.
    New,
    Reading,
    /// Nothing comes after this one.
    Last,
}

/// How long a reading may still wait that ends at this time; zero when that is past.
pub(in crate::engine) fn time_left(until: Option<DateTime<Utc>>) -> Option<Duration> {
    until.map(|until| (until - Utc::now()).to_std().unwrap_or_default())
}
