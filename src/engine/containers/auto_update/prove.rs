//! Whether a container that was just started does its work.

use super::unsettled::Disturbed;
use crate::engine::containers::wait::wait_ended;
use crate::error::{Error, Kind, Result};
use crate::runtime::health;
use crate::spec::health::Health;
use crate::spec::{ContainerSpec, HealthCheck};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, LOST_EXIT_CODE};
use std::time::{Duration, Instant};

/// How long a container without a health check is watched: one that cannot start its work ends at once.
const WATCHED: Duration = Duration::from_secs(3);
/// The time between two looks at its health.
const LOOK: Duration = Duration::from_millis(200);
/// The longest wait for its health, whatever its checks allow.
const LONGEST: Duration = Duration::from_secs(600);

/// Waits until the container is healthy or, without checks, has run for a while; gives up when `look` finds that somebody
/// else has had a say.
///
/// # Errors
/// When it ends, or becomes unhealthy, or its checks come to no result in the time that they allow.
pub(super) fn prove(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    look: &dyn Fn() -> Option<Disturbed>,
) -> Result<Option<Disturbed>> {
    let failed = |why: String| Err(Error::new(Kind::Runtime, why));
    let check = health::of(dir, plan).filter(|check| !check.probe.interval.is_zero());
    let limit = check.as_ref().map_or(WATCHED, allowed);
    let run = || dir.run_record().map(|run| run.map(|run| run.run));
    let (begun, first) = (Instant::now(), run()?);
    loop {
        let ended = wait_ended(store, dir, Some(LOOK))?;
        if let Some(why) = look() {
            return Ok(Some(why));
        }
        if let Some(code) = ended {
            return failed(format!("the new container ended with exit code {code}"));
        }
        if run()? != first {
            // Its restart policy has started it again, which its exit is not to be hidden by.
            let code = dir.exit_record()?.map_or(LOST_EXIT_CODE, |exit| exit.code);
            return failed(format!("the new container ended with exit code {code}"));
        }
        let over = begun.elapsed() >= limit;
        match dir.summary().health.filter(|_| check.is_some()) {
            Some(Health::Healthy) => return Ok(None),
            Some(Health::Unhealthy) => return failed("the new container is unhealthy".to_owned()),
            _ if over && check.is_none() => return Ok(None),
            _ if over => return failed("the new container did not become healthy".to_owned()),
            _ => {}
        }
    }
}

/// How long it may take until the checks have a result.
fn allowed(check: &HealthCheck) -> Duration {
    let each = |interval: Duration, timeout: Duration, times: u32| {
        interval.saturating_add(timeout).saturating_mul(times.saturating_add(1))
    };
    let probe = &check.probe;
    let startup = check.startup.as_ref().map_or(Duration::ZERO, |startup| {
        let times = startup.probe.retries.saturating_add(startup.success).max(1);
        each(startup.probe.interval, startup.probe.timeout, times)
    });
    let all = each(probe.interval, probe.timeout, probe.retries);
    check.start_period.saturating_add(startup).saturating_add(all).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::health::{LogDestination, OnFailure, Probe, Startup};

    #[test]
    fn checks_of_any_size_are_waited_for_no_longer_than_the_longest_wait() {
        let probe =
            |time: Duration, retries| Probe { test: Vec::new(), interval: time, timeout: time, retries };
        let check = |time: Duration, retries: u32| HealthCheck {
            probe: probe(time, retries),
            start_period: time,
            start_interval: None,
            startup: Some(Startup { probe: probe(time, retries), success: retries }),
            on_failure: OnFailure::None,
            destination: LogDestination::Local,
            log_count: 0,
            log_size: 0,
        };
        for (time, retries) in [
            (Duration::MAX, u32::MAX),
            (Duration::from_nanos(i64::MAX as u64), u32::MAX),
            (Duration::from_secs(1), u32::MAX),
            (Duration::MAX, 0),
        ] {
            assert_eq!(allowed(&check(time, retries)), LONGEST);
        }
        // Twice the start-up probes of one success, the probe and its retry.
        assert_eq!(allowed(&check(Duration::from_secs(1), 1)), Duration::from_secs(1 + 2 * 3 + 2 * 2));
    }
}
