//! Health checks as `inspect` shows them.

use crate::runtime::health;
use crate::spec::ContainerSpec;
use crate::spec::health::Probe;
use crate::storage::containers::{Checked, ContainerDir, Summary};
use crate::view::Dialect;
use crate::view::inspect::container::time::time;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// `State.Health`. Without a health check it is null for docker, whose scripts ask whether it is there, and
/// an empty one for podman, whose scripts read its status.
pub(super) fn state(dir: &ContainerDir, plan: &ContainerSpec, summary: &Summary, dialect: Dialect) -> Value {
    let Some(check) = health::of(dir, plan) else {
        return if dialect == Dialect::Docker {
            Value::Null
        } else {
            json!({"Status": "", "FailingStreak": 0, "Log": null})
        };
    };
    let found = health::found(dir, Some(&check)).unwrap_or_default();
    let one = |checked: &Checked| {
        json!({
            "Start": time(checked.start),
            "End": time(checked.end),
            "ExitCode": checked.code,
            "Output": checked.output,
        })
    };
    let status = if found.run == summary.run { found.status.as_str() } else { "starting" };
    json!({
        "Status": status,
        "FailingStreak": found.streak,
        "Log": found.log.iter().map(one).collect::<Vec<_>>(),
    })
}

/// Adds what is checked to `Config`.
pub(super) fn config(dir: &ContainerDir, plan: &ContainerSpec, config: Value) -> Value {
    let Value::Object(mut map) = config else { return config };
    let Some(check) = health::of(dir, plan) else { return Value::Object(map) };
    let mut set = |key: &str, value: Value| {
        map.insert(key.to_owned(), value);
    };
    let mut regular = probe(&check.probe);
    regular.insert("StartPeriod".into(), nanos(check.start_period));
    set("Healthcheck", Value::Object(regular));
    set("HealthcheckOnFailureAction", check.on_failure.as_str().into());
    set("HealthLogDestination", check.destination.to_string().into());
    set("HealthcheckMaxLogCount", check.log_count.into());
    set("HealthcheckMaxLogSize", check.log_size.into());
    if let Some(startup) = &check.startup {
        let mut first = probe(&startup.probe);
        first.insert("Successes".into(), startup.success.into());
        set("StartupHealthCheck", Value::Object(first));
    }
    Value::Object(map)
}

fn probe(probe: &Probe) -> Map<String, Value> {
    Map::from_iter([
        ("Test".to_owned(), json!(probe.test)),
        ("Interval".to_owned(), nanos(probe.interval)),
        ("Timeout".to_owned(), nanos(probe.timeout)),
        ("Retries".to_owned(), probe.retries.into()),
    ])
}

fn nanos(time: Duration) -> Value {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).into()
}
