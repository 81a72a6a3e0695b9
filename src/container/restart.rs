//! `--restart`: whether a container is restarted after it exits.

use crate::error::{Error, Result, phrases};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is done when a container's first process has ended and nobody stopped it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// Started again when its exit code is not 0, this often at most (`on-failure[:n]`).
    OnFailure(Option<u32>),
    /// Started again.
    Always,
    /// As `Always`; at boot only when nobody had stopped it.
    UnlessStopped,
}

impl RestartPolicy {
    /// Whether there is one.
    pub fn is_set(self) -> bool {
        self != RestartPolicy::No
    }

    /// Whether a run that ended with this code is followed by another, after so many restarts.
    pub fn wants(self, code: u8, restarts: u32) -> bool {
        match self {
            RestartPolicy::No => false,
            RestartPolicy::OnFailure(most) => code != 0 && most.is_none_or(|most| restarts < most),
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        }
    }

    /// The policy's name without the number, as in `inspect` and the filter `restart-policy`.
    pub fn name(self) -> &'static str {
        match self {
            RestartPolicy::No => "no",
            RestartPolicy::OnFailure(_) => "on-failure",
            RestartPolicy::Always => "always",
            RestartPolicy::UnlessStopped => "unless-stopped",
        }
    }

    /// Most restarts; 0 is without end.
    pub fn most(self) -> u32 {
        match self {
            RestartPolicy::OnFailure(most) => most.unwrap_or(0),
            _ => 0,
        }
    }
}

impl FromStr for RestartPolicy {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let (name, number) = match s.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (s, None),
        };
        let wrong = |why: &str| {
            phrases::bad_restart_policy(s, why)
                .hint("Use no, on-failure, on-failure:N with N restarts at most, always or unless-stopped.")
        };
        match (name, number) {
            ("on-failure", None) => Ok(RestartPolicy::OnFailure(None)),
            ("on-failure", Some(number)) => {
                // As in docker, 0 is without end.
                let most = number.parse().map_err(|_| wrong("has no number of restarts"))?;
                Ok(RestartPolicy::OnFailure(Some(most).filter(|most| *most > 0)))
            }
            ("no" | "never" | "" | "always" | "unless-stopped", Some(_)) => {
                Err(wrong("takes no number of restarts"))
            }
            ("no" | "never" | "", None) => Ok(RestartPolicy::No),
            ("always", None) => Ok(RestartPolicy::Always),
            ("unless-stopped", None) => Ok(RestartPolicy::UnlessStopped),
            _ => Err(wrong("is not known")),
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestartPolicy::OnFailure(Some(most)) => write!(f, "on-failure:{most}"),
            other => f.write_str(other.name()),
        }
    }
}

impl TryFrom<String> for RestartPolicy {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> String {
        policy.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::RestartPolicy::{self, Always, No, OnFailure, UnlessStopped};

    #[test]
    fn policies_are_read_and_written() {
        for (text, policy, shown) in [
            ("no", No, "no"),
            ("", No, "no"),
            ("on-failure", OnFailure(None), "on-failure"),
            ("on-failure:0", OnFailure(None), "on-failure"),
            ("on-failure:3", OnFailure(Some(3)), "on-failure:3"),
            ("always", Always, "always"),
            ("unless-stopped", UnlessStopped, "unless-stopped"),
        ] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap(), policy);
            assert_eq!(policy.to_string(), shown);
        }
        for bad in ["wat", "always:3", "on-failure:x", "on-failure:-1", "no:1"] {
            assert!(bad.parse::<RestartPolicy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_policy_wants_what_it_says() {
        assert!(!No.wants(1, 0) && Always.wants(0, 900) && UnlessStopped.wants(0, 0));
        assert!(!OnFailure(None).wants(0, 0) && OnFailure(None).wants(1, 900));
        assert!(OnFailure(Some(2)).wants(1, 1) && !OnFailure(Some(2)).wants(1, 2));
    }
}
