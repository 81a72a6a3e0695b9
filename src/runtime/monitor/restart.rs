//! Whether and when a container is restarted after it has exited.
//!
//! Theory of operation. The monitor decides at the end of a run, by the current policy (`update` may have
//! changed it) and by whether the container was asked to stop. `stop` and the like leave a note in the
//! directory *before* they send a signal ([`ContainerDir::ask_stop`]), so it does not matter which process is
//! killed when. While it waits for the next run, the monitor holds `alive` and its exit record contains the
//! time; the status `Restarting` is derived from that. `SIGTERM` ends the wait.

use super::context::MonitorContext;
use super::layers::{self, Layers};
use super::run::{self, Failed, Run, RunInputs};
use super::{finish, setup};
use crate::container::RestartPolicy;
use crate::fork::Failure;
use crate::netns;
use crate::runtime::failure::storage_failure;
use crate::runtime::join::JoinedNamespaces;
use crate::runtime::relay::{End, told_to_stop};
use crate::storage::containers::{RunRecord, Stage};
use crate::storage::events::Action;
use crate::sys::process;
use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::statfs::statfs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// A run that lasted so long was a good one: the pauses begin again. docker's figures, all three.
const GOOD_RUN: chrono::Duration = chrono::Duration::seconds(10);

/// What is remembered from run to run.
#[derive(Debug)]
pub(super) struct Course {
    /// This monitor's first run.
    first_run: u64,
    last_pause: Option<Duration>,
    /// The next run comes because this one was unhealthy, whatever the policy.
    unhealthy: bool,
}

impl Course {
    /// At the first run.
    pub(super) fn of(run: &RunRecord) -> Course {
        Course { first_run: run.run, last_pause: None, unhealthy: false }
    }

    /// The pause after a run that lasted this long.
    fn pause_after(&mut self, lasted: chrono::Duration) -> Duration {
        let pause = match self.last_pause {
            Some(last) if lasted < GOOD_RUN => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last_pause = Some(pause);
        pause
    }

    /// Whether somebody wants the container stopped, having seen a run of this monitor.
    fn asked_to_stop(&self, context: &MonitorContext<'_>) -> bool {
        context.dir.stop_asked().is_some_and(|run| run >= self.first_run)
    }
}

/// The policy in force.
fn policy(context: &MonitorContext<'_>) -> RestartPolicy {
    let lifecycle = &context.plan.lifecycle;
    // A `--rm` container's cannot be changed, and its end is not the place for one more look.
    match lifecycle.auto_remove {
        true => lifecycle.restart,
        false => context.dir.restart_policy(lifecycle.restart),
    }
}

/// When the next run begins, after one that ended like this; `None` if there is none.
pub(super) fn after(
    context: &MonitorContext<'_>,
    run: &RunRecord,
    end: End,
    told: bool,
    course: &mut Course,
) -> Option<DateTime<Utc>> {
    let wanted = policy(context).wants(end.code, run.restarts);
    if !wanted || told || told_to_stop(&context.signals) || course.asked_to_stop(context) {
        return None;
    }
    Some(Utc::now() + course.pause_after(Utc::now() - run.started))
}

/// When the next run begins, after one that was unhealthy: now, unless the container is to be stopped.
pub(super) fn at_once(
    context: &MonitorContext<'_>,
    told: bool,
    course: &mut Course,
) -> Option<DateTime<Utc>> {
    let stopped = told || told_to_stop(&context.signals) || course.asked_to_stop(context);
    course.unhealthy = !stopped;
    (!stopped).then(Utc::now)
}

/// Waits until `at`; `false` when the container is to stay as it is.
fn wait(context: &MonitorContext<'_>, course: &Course, run: &RunRecord, end: End, at: DateTime<Utc>) -> bool {
    let until = Instant::now() + (at - Utc::now()).to_std().unwrap_or_default();
    loop {
        if told_to_stop(&context.signals) || course.asked_to_stop(context) {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // `update` may have changed it.
            return course.unhealthy || policy(context).wants(end.code, run.restarts);
        }
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut [PollFd::new(context.signals.as_fd(), PollFlags::POLLIN)], timeout);
        // Helpers of the run before.
        process::reap_others(nix::unistd::Pid::from_raw(0));
    }
}

/// The next run, at its time. One that cannot be started counts as one that failed. `None` if there are no
/// more; the exit record then says so.
pub(super) fn next(
    context: &MonitorContext<'_>,
    last: RunRecord,
    end: End,
    at: DateTime<Utc>,
    course: &mut Course,
) -> Option<Run> {
    let (mut last, mut end, mut error, mut at) = (last, end, None, at);
    loop {
        if !wait(context, course, &last, end, at) {
            finish::not_begun(context, &last, end, error, None);
            finish::remove(context.store, context.dir, context.plan);
            return None;
        }
        course.unhealthy = false;
        let _ = context.alive.say(Stage::Starting);
        let Failed { failure, record } = match begin(context, last.restarts + 1) {
            Ok(run) => {
                context.dir.emit(Action::Restart);
                return Some(run);
            }
            Err(failed) => failed,
        };
        // If there is no record of the attempt, it is reported with the previous run.
        last = record.map_or(RunRecord { restarts: last.restarts + 1, ..last }, |record| *record);
        end = End { code: crate::runtime::explain::exit_code(&failure), signal: None };
        error = Some(failure.describe());
        let again = after(context, &last, end, false, course);
        finish::not_begun(context, &last, end, error.clone(), again);
        let _ = context.alive.say(Stage::Over);
        let Some(again) = again else {
            finish::remove(context.store, context.dir, context.plan);
            return None;
        };
        at = again;
    }
}

fn begin(context: &MonitorContext<'_>, restarts: u32) -> Result<Run, Failed> {
    revive(context)?;
    let (stdio, streams) = setup::streams(context.plan, context.kept.as_ref())?;
    let listeners = netns::listen(&context.ports)
        .map_err(|e| Failure::other("publish ports of", context.plan.id.short(), e.to_string()))?;
    let joined = JoinedNamespaces::open(context.store, context.plan)
        .map_err(|e| storage_failure("share namespaces of", context.plan.id.short(), &e))?;
    run::begin(context, RunInputs { stdio, streams, joined, listeners, client: None, restarts })
}

/// Where the server of shifted files, or of the root itself, has died nothing of the root can be read any
/// more: a new server and a new mount take the same places.
fn revive(context: &MonitorContext<'_>) -> Result<(), Failure> {
    let (dir, plan) = (context.dir, context.plan);
    let is_dead = |place: &Path| statfs(place).err() == Some(Errno::ENOTCONN);
    let of_layers = plan.ids.is_shifted() && is_dead(&dir.lower());
    if !of_layers && !is_dead(&dir.merged()) {
        return Ok(());
    }
    let _ = umount2(&dir.merged(), MntFlags::MNT_DETACH);
    layers::release(plan, &dir.path());
    // It lives as long as its mounts.
    let layers = Layers::open(context.store, dir, plan)?;
    setup::assemble(&layers, dir, plan, None, plan.lifecycle.auto_remove).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_a_run_was_good() {
        let mut course = Course { first_run: 1, last_pause: None, unhealthy: false };
        let short = chrono::Duration::milliseconds(5);
        let pauses: Vec<u64> = (0..12).map(|_| course.pause_after(short).as_millis() as u64).collect();
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[9..], [51_200, 60_000, 60_000]);
        assert_eq!(course.pause_after(GOOD_RUN), FIRST);
        assert_eq!(course.pause_after(short), FIRST * 2);
    }
}
