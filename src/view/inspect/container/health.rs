//! Health checks as `inspect` shows them.

use super::facts::Facts;
use super::time::time;
use crate::runtime::health;
use crate::spec::HealthCheck;
use crate::spec::health::Probe;
use serde::Serialize;
use std::time::Duration;

/// What the checks have found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct State {
    pub(super) status: &'static str,
    failing_streak: u64,
    log: Vec<Checked>,
}

/// The result of one check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Checked {
    start: String,
    end: String,
    exit_code: i32,
    output: String,
}

/// How health is checked, in podman's order; durations in nanoseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    test: Vec<String>,
    start_period: u64,
    start_interval: u64,
    interval: u64,
    timeout: u64,
    retries: u64,
}

/// How it is checked that a container is ready.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Startup {
    #[serde(flatten)]
    check: Config,
    successes: u64,
}

/// How health is checked, in docker's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DockerConfig {
    test: Vec<String>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    start_interval: u64,
    retries: u64,
}

impl From<Config> for DockerConfig {
    fn from(config: Config) -> DockerConfig {
        let Config { test, start_period, start_interval, interval, timeout, retries } = config;
        DockerConfig { test, interval, timeout, start_period, start_interval, retries }
    }
}

/// `State.Health`; there is none without a check.
pub(super) fn state(facts: &Facts<'_>) -> Option<State> {
    let check = facts.plan.health.as_ref()?;
    let found = health::found(facts.dir, Some(check)).unwrap_or_default();
    let log = found.log.iter().map(|checked| Checked {
        start: time(checked.start),
        end: time(checked.end),
        exit_code: checked.code,
        output: checked.output.clone(),
    });
    Some(State {
        status: if found.run == facts.summary.run { found.status.as_str() } else { "starting" },
        failing_streak: found.streak.into(),
        log: log.collect(),
    })
}

/// `Config.Healthcheck`.
pub(super) fn config(check: &HealthCheck) -> Config {
    Config {
        start_period: nanos(check.start_period),
        start_interval: check.start_interval.map_or(0, nanos),
        ..probe(&check.probe)
    }
}

/// `Config.StartupHealthCheck`.
pub(super) fn startup(check: &HealthCheck) -> Option<Startup> {
    let startup = check.startup.as_ref()?;
    Some(Startup { check: probe(&startup.probe), successes: startup.success.into() })
}

fn probe(probe: &Probe) -> Config {
    Config {
        test: probe.test.clone(),
        start_period: 0,
        start_interval: 0,
        interval: nanos(probe.interval),
        timeout: nanos(probe.timeout),
        retries: probe.retries.into(),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
