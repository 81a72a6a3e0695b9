//! How a container is to be stopped.

use crate::container::Signal;
use crate::error::{Warning, phrases};
use crate::storage::containers::ContainerDir;
use std::time::Duration;

/// How to stop a container: its stop signal, and how long it gets; `None` is forever. `seconds` goes before
/// the container's own time-out, and is forever if negative.
pub fn stop_policy(container: &ContainerDir, seconds: Option<i64>) -> (i32, Option<Duration>) {
    // A container whose plan is lost is stopped with the defaults.
    let lifecycle = container.spec().map(|plan| plan.lifecycle);
    let (signal, own) = lifecycle.map_or((15, 10), |l| (l.stop_signal, l.stop_timeout));
    let seconds = seconds.unwrap_or(i64::from(own));
    (signal, u64::try_from(seconds).ok().map(Duration::from_secs))
}

/// That a container had time to end after this signal, and did not.
pub(super) fn timed_out(
    container: &ContainerDir,
    signal: i32,
    patience: Option<Duration>,
) -> Option<Warning> {
    let seconds = patience.map(|patience| patience.as_secs()).filter(|seconds| *seconds > 0)?;
    let number = signal.to_string();
    let signal = number.parse::<Signal>().map_or(number, |signal| signal.to_string());
    Some(phrases::stop_timed_out(&signal, &container.called(), seconds))
}
