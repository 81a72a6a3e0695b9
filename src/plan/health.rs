//! `--health-*`: the health check of the image, of the command line, or of both.

use crate::error::{Error, Kind, Result};
use crate::spec::HealthCheck;
use crate::spec::health::{LogDestination, OnFailure, Probe, Startup};
use serde_json::Value;
use std::str::FromStr;
use std::time::Duration;

/// Time between two checks, and for one, unless something else is asked for.
const USUAL: Duration = Duration::from_secs(30);
/// The shortest time that an image may ask for: each check costs the host processes, a record and an event.
const LEAST: Duration = Duration::from_secs(1);
/// Failures in a row unless something else is asked for.
const RETRIES: u32 = 3;
/// Results kept unless something else is asked for.
const LOG_COUNT: u32 = 5;
/// Characters of a result unless something else is asked for.
const LOG_SIZE: u32 = 500;

/// A command for a health check, in docker's form: `CMD ...`, `CMD-SHELL LINE` or `NONE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test(pub Vec<String>);

impl FromStr for Test {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let empty = || {
            Error::new(Kind::Usage, "a health check needs a command")
                .hint("Write a shell command, a JSON array, or none for no health check.")
        };
        if s.trim().is_empty() {
            return Err(empty());
        }
        let words = |s: &str| s.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (list, array) = match serde_json::from_str::<Vec<String>>(s) {
            Ok(list) => (list, true),
            Err(_) => (words(s), false),
        };
        let keyword = list.first().ok_or_else(empty)?.to_uppercase();
        let with = |kind: &str, rest: Vec<String>| [vec![kind.to_owned()], rest].concat();
        let test = match keyword.as_str() {
            "NONE" => with("NONE", Vec::new()),
            "CMD" => with("CMD", list[1..].to_vec()),
            "CMD-SHELL" if array => with("CMD-SHELL", vec![list[1..].join(" ")]),
            "CMD-SHELL" => with("CMD-SHELL", vec![s.trim_start()["CMD-SHELL".len()..].trim().to_owned()]),
            _ if array && list.len() > 1 => with("CMD", list),
            _ if array => with("CMD-SHELL", list),
            _ => with("CMD-SHELL", vec![s.to_owned()]),
        };
        match test.iter().skip(1).all(String::is_empty) && test[0] != "NONE" {
            true => Err(empty()),
            false => Ok(Test(test)),
        }
    }
}

/// What was asked for; `None` is left to the image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HealthRequest {
    /// `--no-healthcheck`.
    pub off: bool,
    /// `--health-cmd`.
    pub test: Option<Test>,
    /// `--health-interval`; zero is disable.
    pub interval: Option<Duration>,
    /// `--health-timeout`.
    pub timeout: Option<Duration>,
    /// `--health-start-period`.
    pub start_period: Option<Duration>,
    /// `--health-start-interval`.
    pub start_interval: Option<Duration>,
    /// `--health-retries`.
    pub retries: Option<u32>,
    /// `--health-on-failure`.
    pub on_failure: Option<OnFailure>,
    /// `--health-startup-cmd`.
    pub startup_test: Option<Test>,
    /// `--health-startup-interval`.
    pub startup_interval: Option<Duration>,
    /// `--health-startup-timeout`.
    pub startup_timeout: Option<Duration>,
    /// `--health-startup-retries`.
    pub startup_retries: Option<u32>,
    /// `--health-startup-success`.
    pub startup_success: Option<u32>,
    /// `--health-log-destination`.
    pub destination: Option<LogDestination>,
    /// `--health-max-log-count`.
    pub log_count: Option<u32>,
    /// `--health-max-log-size`.
    pub log_size: Option<u32>,
}

impl HealthRequest {
    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        *self == HealthRequest::default()
    }

    /// Contradictions, which can be refused before there is an image.
    ///
    /// # Errors
    /// [`Kind::Usage`].
    pub fn check(&self) -> Result<()> {
        let refuse = |message: &str, hint: &str| Err(Error::new(Kind::Usage, message).hint(hint));
        if self.off && self.test.is_some() {
            return refuse(
                "--no-healthcheck and --health-cmd cannot be set together",
                "Leave out one of the two.",
            );
        }
        for (option, time) in
            [("--health-timeout", self.timeout), ("--health-startup-timeout", self.startup_timeout)]
        {
            if time.is_some_and(|time| time < Duration::from_secs(1)) {
                return refuse(&format!("{option} is less than a second"), "Give it at least 1s.");
            }
        }
        if self.retries == Some(0) {
            return refuse(
                "--health-retries=0: a check has to fail at least once",
                "Give a number from 1 up.",
            );
        }
        let startup = self.startup_interval.is_some()
            || self.startup_timeout.is_some()
            || self.startup_retries.is_some()
            || self.startup_success.is_some();
        if startup && self.startup_test.is_none() {
            return refuse(
                "the --health-startup options have no effect without --health-startup-cmd",
                "Give the command: --health-startup-cmd COMMAND",
            );
        }
        Ok(())
    }

    /// The checks of a container; `before` are those of the image, or of the container that is changed.
    ///
    /// # Errors
    /// As [`HealthRequest::check`].
    pub fn resolve(&self, before: Option<HealthCheck>) -> Result<Option<HealthCheck>> {
        self.check()?;
        let none = |test: &Option<Test>| test.as_ref().is_some_and(|t| t.0[0] == "NONE");
        if self.off || none(&self.test) {
            return Ok(None);
        }
        let mut check = match (before, &self.test) {
            (Some(check), _) => check,
            (None, Some(_)) => usual(Vec::new()),
            (None, None) if self.startup_test.is_some() && !none(&self.startup_test) => {
                return Err(Error::new(
                    Kind::Usage,
                    "--health-startup-cmd needs a health check to begin after it",
                )
                .hint("Give one: --health-cmd COMMAND"));
            }
            (None, None) => return Ok(None),
        };
        if let Some(test) = &self.test {
            check.probe.test.clone_from(&test.0);
        }
        set(&mut check.probe.interval, self.interval);
        set(&mut check.probe.timeout, self.timeout);
        set(&mut check.probe.retries, self.retries);
        set(&mut check.start_period, self.start_period);
        check.start_interval = self.start_interval.filter(|time| !time.is_zero()).or(check.start_interval);
        set(&mut check.on_failure, self.on_failure);
        set(&mut check.log_count, self.log_count);
        set(&mut check.log_size, self.log_size);
        set(&mut check.destination, self.destination.clone());
        if none(&self.startup_test) {
            check.startup = None;
        } else if let Some(test) = &self.startup_test {
            check.startup = Some(Startup {
                probe: Probe {
                    test: test.0.clone(),
                    interval: self.startup_interval.unwrap_or(USUAL),
                    timeout: self.startup_timeout.unwrap_or(USUAL),
                    retries: self.startup_retries.unwrap_or(0),
                },
                success: self.startup_success.unwrap_or(0),
            });
        }
        Ok(Some(check))
    }
}

fn set<T>(field: &mut T, asked: Option<T>) {
    if let Some(asked) = asked {
        *field = asked;
    }
}

fn usual(test: Vec<String>) -> HealthCheck {
    HealthCheck {
        probe: Probe { test, interval: USUAL, timeout: USUAL, retries: RETRIES },
        start_period: Duration::ZERO,
        start_interval: None,
        startup: None,
        on_failure: OnFailure::None,
        destination: LogDestination::Local,
        log_count: LOG_COUNT,
        log_size: LOG_SIZE,
    }
}

/// The check that an image asks for (docker's image spec, `Healthcheck`: times in nanoseconds, 0 is the
/// usual one). What makes no sense is left out: an image with a broken check can be run all the same.
pub fn of_image(config: Option<&Value>) -> Option<HealthCheck> {
    let config = config?;
    let words = |value: &Value| value.as_str().map(str::to_owned);
    let test: Vec<String> = config.get("Test")?.as_array()?.iter().filter_map(words).collect();
    if !matches!(test.first().map(String::as_str), Some("CMD" | "CMD-SHELL")) || test.len() < 2 {
        return None;
    }
    let time = |key: &str| {
        let nanos = config.get(key).and_then(Value::as_u64).filter(|nanos| *nanos > 0);
        nanos.map(Duration::from_nanos)
    };
    let mut check = usual(test);
    set(&mut check.probe.interval, time("Interval").map(|time| time.max(LEAST)));
    set(&mut check.probe.timeout, time("Timeout").map(|time| time.max(LEAST)));
    set(&mut check.start_period, time("StartPeriod"));
    check.start_interval = time("StartInterval").map(|time| time.max(LEAST));
    let retries = config.get("Retries").and_then(Value::as_u64).filter(|n| *n > 0);
    set(&mut check.probe.retries, retries.and_then(|n| n.try_into().ok()));
    Some(check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn test(text: &str) -> Vec<String> {
        text.parse::<Test>().unwrap().0
    }

    #[test]
    fn commands_are_read_as_podman_reads_them() {
        for (text, expected) in [
            ("curl -f x || exit 1", &["CMD-SHELL", "curl -f x || exit 1"][..]),
            (r#"["curl", "-f", "a b"]"#, &["CMD", "curl", "-f", "a b"]),
            (r#"["true"]"#, &["CMD-SHELL", "true"]),
            ("CMD  ls /", &["CMD", "ls", "/"]),
            ("CMD-SHELL a  b", &["CMD-SHELL", "a  b"]),
            (r#"["CMD-SHELL", "a b"]"#, &["CMD-SHELL", "a b"]),
            (r#"["CMD", "a"]"#, &["CMD", "a"]),
            ("none", &["NONE"]),
        ] {
            assert_eq!(test(text), expected, "{text}");
        }
        for text in ["", " ", "[]", "CMD", r#"["CMD-SHELL"]"#] {
            assert!(text.parse::<Test>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_image_gives_what_the_command_line_does_not() {
        let image = json!({"Test": ["CMD-SHELL", "x"], "Interval": 5_000_000_000_u64, "Retries": 7});
        let image = of_image(Some(&image));
        let asked = HealthRequest { timeout: Some(Duration::from_secs(2)), ..HealthRequest::default() };
        let check = asked.resolve(image.clone()).unwrap().unwrap();
        assert_eq!(
            (check.probe.interval, check.probe.timeout),
            (Duration::from_secs(5), Duration::from_secs(2))
        );
        assert_eq!(
            (check.probe.retries, check.probe.argv()),
            (7, vec!["/bin/sh".into(), "-c".into(), "x".into()])
        );
        for off in [
            HealthRequest { off: true, ..HealthRequest::default() },
            HealthRequest { test: Some("none".parse().unwrap()), ..HealthRequest::default() },
        ] {
            assert_eq!(off.resolve(image.clone()).unwrap(), None);
        }
        assert_eq!(asked.resolve(None).unwrap(), None);
    }

    #[test]
    fn case_39_an_image_cannot_have_the_host_check_without_a_pause() {
        let image = json!({"Test": ["CMD", "x"], "Interval": 1, "Timeout": 1});
        let check = of_image(Some(&image)).unwrap();
        assert_eq!((check.probe.interval, check.probe.timeout), (LEAST, LEAST));
    }

    #[test]
    fn broken_checks_of_images_are_none() {
        for broken in [
            json!(null),
            json!({"Test": 5}),
            json!({"Test": []}),
            json!({"Test": ["NONE"]}),
            json!({"Test": ["CMD"]}),
            json!({"Test": [1, 2]}),
        ] {
            assert_eq!(of_image(Some(&broken)), None, "{broken}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let cmd = || Some("true".parse::<Test>().unwrap());
        for wrong in [
            HealthRequest { off: true, test: cmd(), ..HealthRequest::default() },
            HealthRequest { test: cmd(), retries: Some(0), ..HealthRequest::default() },
            HealthRequest {
                test: cmd(),
                timeout: Some(Duration::from_millis(10)),
                ..HealthRequest::default()
            },
            HealthRequest { test: cmd(), startup_retries: Some(1), ..HealthRequest::default() },
            HealthRequest { startup_test: cmd(), ..HealthRequest::default() },
        ] {
            assert!(wrong.resolve(None).is_err(), "{wrong:?}");
        }
    }
}
