//! Health checks: the command, the intervals, and the action on failure.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How well a container is (podman-healthcheck(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing is known yet.
    #[default]
    Starting,
    /// The last check succeeded.
    Healthy,
    /// As many checks in a row failed as were allowed.
    Unhealthy,
}

impl Health {
    /// The word that `ps`, `inspect` and events show.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        }
    }
}

/// What happens to a container that has become unhealthy (`--health-on-failure`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Nothing.
    #[default]
    None,
    /// It is killed; the restart policy has the next word.
    Kill,
    /// It is stopped and started again.
    Restart,
    /// It is stopped and stays so.
    Stop,
}

impl OnFailure {
    /// The word of the option.
    pub fn as_str(self) -> &'static str {
        match self {
            OnFailure::None => "none",
            OnFailure::Kill => "kill",
            OnFailure::Restart => "restart",
            OnFailure::Stop => "stop",
        }
    }
}

impl FromStr for OnFailure {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        [OnFailure::None, OnFailure::Kill, OnFailure::Restart, OnFailure::Stop]
            .into_iter()
            .find(|action| action.as_str() == s)
            .ok_or_else(|| Error::new(Kind::Usage, format!("{s:?} is not none, kill, restart or stop")))
    }
}

/// Where the results of checks are kept (`--health-log-destination`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDestination {
    /// With the container's records.
    #[default]
    Local,
    /// As attributes of the events.
    EventsLogger,
    /// In `<container id>-healthcheck.log` in this directory, absolute.
    Directory(PathBuf),
}

impl fmt::Display for LogDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogDestination::Local => f.write_str("local"),
            LogDestination::EventsLogger => f.write_str("events_logger"),
            LogDestination::Directory(path) => path.display().fmt(f),
        }
    }
}

/// A command to be run now and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// `CMD` and a command with its arguments, or `CMD-SHELL` and a line for the shell.
    pub test: Vec<String>,
    /// Between the end of one check and the beginning of the next; zero means never automatically.
    pub interval: Duration,
    /// A check that takes longer is killed and has failed.
    pub timeout: Duration,
    /// Failures in a row that are too many.
    pub retries: u32,
}

impl Probe {
    /// The command to execute.
    pub fn argv(&self) -> Vec<String> {
        match self.test.split_first() {
            Some((kind, line)) if kind == "CMD-SHELL" => {
                vec!["/bin/sh".to_owned(), "-c".to_owned(), line.join(" ")]
            }
            Some((_, argv)) => argv.to_vec(),
            None => Vec::new(),
        }
    }
}

/// The checks of the time before a container is ready (`--health-startup-*`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Startup {
    /// The check. After `retries` failures the container is restarted; 0 is never.
    pub probe: Probe,
    /// Successes until the regular checks begin; 0 is one.
    pub success: u32,
}

/// Everything about a container's health checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The regular check.
    pub probe: Probe,
    /// Failures so soon after the start do not count.
    pub start_period: Duration,
    /// The interval of checks in that time, until one succeeds; the usual one when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<Duration>,
    /// What comes before the regular checks.
    pub startup: Option<Startup>,
    /// What follows from being unhealthy.
    pub on_failure: OnFailure,
    /// Where results are kept.
    pub destination: LogDestination,
    /// How many are kept; 0 is all.
    pub log_count: u32,
    /// How many characters of a check's output are kept; 0 is all.
    pub log_size: u32,
}
