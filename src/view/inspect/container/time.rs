//! Times in Go's format.

use chrono::{DateTime, SecondsFormat, Utc};

/// Go's zero time, which means never.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}
