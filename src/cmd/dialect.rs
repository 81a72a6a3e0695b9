//! The output dialect that the command line asks for.

use crate::engine::networks::KeptFor;
use crate::error::{Error, Result};
use crate::text::time;
use crate::ui::{self, Identity};
use crate::view::Dialect;
use crate::view::version::Role;
use chrono::{DateTime, Utc};

/// Whose form documents have: docker's when this process is called by that name.
pub(super) fn dialect() -> Dialect {
    if ui::docker() { Dialect::Docker } else { Dialect::Podman }
}

/// Which containers keep their networks from being removed.
pub(super) fn networks_kept_for() -> KeptFor {
    if ui::docker() { KeptFor::Running } else { KeptFor::All }
}

/// Whom this process stands for.
pub(super) fn role() -> Role {
    match ui::identity() {
        Identity::Coracle => Role::Own,
        Identity::Podman => Role::Podman,
        Identity::Docker => Role::Docker,
    }
}

/// A part of time, open where it has no bound.
pub(super) struct Period {
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
}

/// What `--since` and `--until` ask for. The duration of `--until` lies ahead of now in podman's dialect, and behind
/// it in docker's.
///
/// # Errors
/// A text that is no point in time, refused in the words that `refused` has for the option and the text.
pub(super) fn period(
    since: Option<&str>,
    until: Option<&str>,
    refused: fn(&str, &str) -> Error,
) -> Result<Period> {
    let now = Utc::now();
    let read = |option, text: Option<&str>, parse: fn(&str, DateTime<Utc>) -> Result<DateTime<Utc>>| {
        text.map(|text| parse(text, now).map_err(|e| refused(option, text).caused_by(e))).transpose()
    };
    let end = if ui::docker() { time::parse_time } else { time::parse_end };
    Ok(Period { since: read("since", since, time::parse_time)?, until: read("until", until, end)? })
}
