//! The output dialect that the command line asks for.

use crate::error::Result;
use crate::text::time;
use crate::ui::{self, Identity};
use crate::view::Dialect;
use crate::view::version::Role;
use chrono::{DateTime, Utc};

/// Whose form documents have: docker's when this process is called by that name.
pub(super) fn dialect() -> Dialect {
    if ui::docker() { Dialect::Docker } else { Dialect::Podman }
}

/// Whom this process stands for.
pub(super) fn role() -> Role {
    match ui::identity() {
        Identity::Coracle => Role::Own,
        Identity::Podman => Role::Podman,
        Identity::Docker => Role::Docker,
    }
}

/// The end of `--until`: a duration lies ahead of now in podman's dialect, and behind it in docker's.
///
/// # Errors
/// A text that is no point in time.
pub(super) fn end(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    if ui::docker() { time::parse_time(text, now) } else { time::parse_end(text, now) }
}
