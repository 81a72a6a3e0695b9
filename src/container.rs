//! Pure container nouns: identifiers, names, states, exit records. No I/O.

use crate::error::{Error, Kind, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

pub mod ids;
mod restart;
mod signal;
pub use restart::RestartPolicy;
pub use signal::Signal;

/// The version of a plan's form that this program writes, and the newest that it reads.
pub const PLAN_VERSION: u32 = 1;

/// A container's identifier: 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// An identifier from 32 random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        ContainerId(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// The full 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, as listings show them.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for ContainerId {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        if s.len() == 64 && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Ok(ContainerId(s.to_owned()));
        }
        Err(Error::new(Kind::Usage, format!("{s:?} is not a container id: 64 lower-case hex digits")))
    }
}

impl TryFrom<String> for ContainerId {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> String {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name for a container, volume, network or secret: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 255 bytes.
///
/// The only way from user text to a file name in the store (attack case 40).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An identifier is a name: anonymous volumes are called so.
impl From<ContainerId> for Name {
    fn from(id: ContainerId) -> Name {
        Name(id.0)
    }
}

impl FromStr for Name {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let mut bytes = s.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if first && rest && s.len() <= 255 {
            return Ok(Name(s.to_owned()));
        }
        Err(Error::new(Kind::Usage, format!("{s:?} is not a valid name"))
            .hint("Names start with a letter or digit and hold letters, digits, '_', '.' and '-', for example --name web-1."))
    }
}

impl TryFrom<String> for Name {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A container's name as users write it. docker's has a slash in front, which it may be typed with too: `/web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerName(pub Name);

impl ContainerName {
    /// The text without the slash.
    pub fn bare(text: &str) -> &str {
        text.strip_prefix('/').unwrap_or(text)
    }
}

impl FromStr for ContainerName {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        ContainerName::bare(s).parse().map(ContainerName)
    }
}

/// Where a container stands. Never stored: derived from the records and the monitor's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started.
    Created,
    /// Its monitor lives and is about to execute the payload: nobody may enter it yet.
    Starting,
    /// Its payload runs.
    Running,
    /// Its payload runs and its processes are frozen.
    Paused,
    /// It ended and its exit record is written.
    Exited,
    /// It ended, and its monitor lives and is about to start it again.
    Restarting,
    /// Its monitor died, or the machine restarted, before the exit record was written.
    Crashed,
}

impl Status {
    /// The word that listings and `inspect` show.
    pub fn as_str(self) -> &'static str {
        match self {
            // Neither docker nor podman has a word of its own for so short a time.
            Status::Created | Status::Starting => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Exited | Status::Crashed => "exited",
            Status::Restarting => "restarting",
        }
    }

    /// Whether a monitor is active: processes are running or about to start.
    pub fn is_active(self) -> bool {
        self.is_live() || matches!(self, Status::Starting | Status::Restarting)
    }

    /// Whether the container has living processes of its own, which can be joined, read and signalled.
    pub fn is_live(self) -> bool {
        matches!(self, Status::Running | Status::Paused)
    }
}

/// How one run of a container ended; the content of `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Which run this is the end of; counted from 1.
    pub run: u64,
    /// The exit code: the payload's own, or 128+n when it was killed by signal n.
    pub code: u8,
    /// The signal that ended the payload, if one did.
    pub signal: Option<i32>,
    /// Whether the kernel's memory limit ended it.
    pub oom_killed: bool,
    /// Why it never ran, when it did not.
    pub error: Option<String>,
    /// When the payload started.
    pub started: DateTime<Utc>,
    /// When the payload was reaped.
    pub finished: DateTime<Utc>,
    /// The container has not run even once: it stands as it was made, and this says why a start failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_ran: bool,
    /// When its monitor will start it again; means nothing once that monitor is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_40_names_and_ids_cannot_leave_the_store() {
        for bad in ["", ".", "..", "a/b", "../x", "-a", "a b", "a\0", "ä", &"x".repeat(256)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        for good in ["a", "web-1", "A.b_c", "0"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in ["/", "//a", "/../x", "/a/b"] {
            assert!(bad.parse::<ContainerName>().is_err(), "{bad:?}");
        }
        assert_eq!("/web".parse::<ContainerName>().unwrap().0.as_str(), "web");
        assert!("../../etc".parse::<ContainerId>().is_err());
        assert!("A".repeat(64).parse::<ContainerId>().is_err());
        assert!("a".repeat(64).parse::<ContainerId>().is_ok());
    }
}
