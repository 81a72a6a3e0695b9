//! Whether a container that was just started does its work.

use crate::engine::containers::wait::wait_ended;
use crate::error::{Error, Kind, Result};
use crate::runtime::health;
use crate::spec::health::Health;
use crate::spec::{ContainerSpec, HealthCheck};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use std::time::{Duration, Instant};

/// How long a container without a health check is watched: one that cannot start its work ends at once.
const WATCHED: Duration = Duration::from_secs(3);
/// The time between two looks at its health.
const LOOK: Duration = Duration::from_millis(200);
/// The longest wait for its health, whatever its checks allow.
const LONGEST: Duration = Duration::from_secs(600);

/// Waits until the container is healthy or, without checks, has run for a while.
///
/// # Errors
/// When it ends, or becomes unhealthy, or its checks come to no result in the time that they allow.
pub(super) fn prove(store: &Store, dir: &ContainerDir, plan: &ContainerSpec) -> Result<()> {
    let failed = |why: String| Err(Error::new(Kind::Runtime, why));
    let check = health::of(dir, plan).filter(|check| !check.probe.interval.is_zero());
    let limit = check.as_ref().map_or(WATCHED, allowed);
    let begun = Instant::now();
    loop {
        if let Some(code) = wait_ended(store, dir, Some(if check.is_some() { LOOK } else { limit }))? {
            return failed(format!("the new container ended with exit code {code}"));
        }
        if check.is_none() {
            return Ok(());
        }
        match dir.summary().health {
            Some(Health::Healthy) => return Ok(()),
            Some(Health::Unhealthy) => return failed("the new container is unhealthy".to_owned()),
            _ if begun.elapsed() > limit => {
                return failed("the new container did not become healthy".to_owned());
            }
            _ => {}
        }
    }
}

/// How long it may take until the checks have a result.
fn allowed(check: &HealthCheck) -> Duration {
    let each =
        |interval: Duration, timeout: Duration, times: u32| (interval + timeout).saturating_mul(times + 1);
    let probe = &check.probe;
    let startup = check.startup.as_ref().map_or(Duration::ZERO, |startup| {
        let times = startup.probe.retries.saturating_add(startup.success).max(1);
        each(startup.probe.interval, startup.probe.timeout, times)
    });
    let all = check.start_period + startup + each(probe.interval, probe.timeout, probe.retries);
    all.min(LONGEST)
}
