//! Requests for logs, and their results.

use crate::storage::containers::log::Stream;
use chrono::{DateTime, Utc};

/// What is wanted of logs.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogsRequest {
    /// Go on until the containers end.
    pub follow: bool,
    /// This many lines from the end; all of them when `None`.
    pub tail: Option<u64>,
    /// What was written since then.
    pub since: Option<DateTime<Utc>>,
    /// What was written until then; following ends at that time.
    pub until: Option<DateTime<Utc>>,
}

/// A line of a container's output, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// Which container, by its place among those that were asked for.
    pub container: usize,
    /// Which output it came from.
    pub stream: Stream,
    /// When it was written: RFC 3339 in UTC, with nanoseconds.
    pub time: &'a [u8],
    /// The text, without line end.
    pub text: &'a [u8],
    /// Whether the line of output begins here.
    pub begins: bool,
    /// Whether it ends here.
    pub ends: bool,
}
