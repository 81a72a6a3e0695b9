//! `--sdnotify`: who tells the service manager that the container is ready.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What becomes of the socket in `NOTIFY_SOCKET` (sd_notify(3)), where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyMode {
    /// The payload gets a socket, and what it says about itself is passed on.
    #[default]
    Container,
    /// The monitor says ready when the payload runs.
    Conmon,
    /// The monitor says ready when the container is healthy.
    Healthy,
    /// Nobody says anything.
    Ignore,
}

impl NotifyMode {
    /// The word of the option.
    pub fn as_str(self) -> &'static str {
        match self {
            NotifyMode::Container => "container",
            NotifyMode::Conmon => "conmon",
            NotifyMode::Healthy => "healthy",
            NotifyMode::Ignore => "ignore",
        }
    }
}

impl FromStr for NotifyMode {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        [NotifyMode::Container, NotifyMode::Conmon, NotifyMode::Healthy, NotifyMode::Ignore]
            .into_iter()
            .find(|mode| mode.as_str() == s)
            .ok_or_else(|| {
                Error::new(Kind::Usage, format!("{s:?} is not container, conmon, healthy or ignore"))
            })
    }
}
