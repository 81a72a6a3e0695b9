//! Who notifies the service manager that a container is ready.

use serde::{Deserialize, Serialize};

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
    /// Nobody notifies.
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
