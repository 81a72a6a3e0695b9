//! The result of a check.

use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Short name, stable: scripts may look for it.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do, a command or two; empty when nothing need be done.
    pub cure: Vec<String>,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Containers run, but something is slower or cannot be asked for.
    Limited,
    /// Containers do not run, or not as asked, until it is cured.
    Missing,
}

impl Check {
    pub(in crate::host) fn ok(name: &'static str, detail: impl Into<String>) -> Check {
        Check { name, state: State::Ok, detail: detail.into(), cure: Vec::new() }
    }

    pub(in crate::host) fn limited(
        name: &'static str,
        detail: impl Into<String>,
        cure: Vec<String>,
    ) -> Check {
        Check { name, state: State::Limited, detail: detail.into(), cure }
    }

    pub(in crate::host) fn missing(
        name: &'static str,
        detail: impl Into<String>,
        cure: Vec<String>,
    ) -> Check {
        Check { name, state: State::Missing, detail: detail.into(), cure }
    }
}
