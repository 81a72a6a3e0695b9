//! Health checks: one check, and the monitor's series of them.
//!
//! Theory of operation. A check is a process in the container, run like an `exec`, with a time limit. Its
//! result is written to `health.json` under the container's lock, by the monitor's check or the command
//! `healthcheck run`. The monitor itself must neither block nor grow, so each of its checks runs in a forked
//! leaf, which reports what to do next and when the next check is due; the relay's loop has the timer. If the
//! leaf is killed, the check counts as not having taken place.

use super::door::not_running;
use super::exec::{Captured, capture};
use super::relay::HealthChecks;
use super::report;
use crate::error::{Error, Kind, Result};
use crate::fork::{self, Child, Link};
use crate::spec::health::{Health, LogDestination, OnFailure};
use crate::spec::{ContainerSpec, HealthCheck, ProcessSpec};
use crate::storage::Store;
use crate::storage::containers::{Checked, ContainerDir, HealthRecord, RunRecord};
use crate::storage::events::{Action, Event};
use crate::storage::record::{self, Durability};
use crate::sys::{fd, process};
use chrono::{DateTime, Utc};
use nix::libc;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Most bytes of a check's output that are kept when nothing else is asked for.
const OUTPUT_MAX: usize = 1 << 20;
/// Most bytes of results that are kept.
const LOG_MAX: usize = 1 << 20;
/// The maximum size of a result without its output, in bytes.
const CHECKED_SIZE: usize = 160;
/// The time until the next check when the last one could not tell.
const SOME_TIME: Duration = Duration::from_secs(30);

/// What one check came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Whether the command succeeded.
    pub success: bool,
    /// The container was stopped meanwhile: the command's end says nothing, and is not recorded.
    pub stopped: bool,
    /// How well the container is now.
    pub status: Health,
    /// The action to take.
    pub follows: OnFailure,
    /// When the next check is due; `None` is never.
    again: Option<Duration>,
}

/// The health check that a container has by now.
pub fn of(dir: &ContainerDir, plan: &ContainerSpec) -> Option<HealthCheck> {
    match dir.changed().ok().flatten().and_then(|settings| settings.health) {
        Some(changed) => changed.check,
        None => plan.health.clone(),
    }
}

/// What checks have found, wherever that is kept.
pub fn found(dir: &ContainerDir, check: Option<&HealthCheck>) -> Option<HealthRecord> {
    let record = dir.health().ok().flatten()?;
    match check.and_then(|check| log_file(dir, check)) {
        Some(file) => Some(record::read(&file).ok().flatten().unwrap_or(record)),
        None => Some(record),
    }
}

fn log_file(dir: &ContainerDir, check: &HealthCheck) -> Option<PathBuf> {
    match &check.destination {
        LogDestination::Directory(place) => Some(place.join(format!("{}-healthcheck.log", dir.id()))),
        _ => None,
    }
}

/// Checks a container now and records the result.
///
/// # Errors
/// `Conflict` when the container is not running or has no health check.
pub fn check(store: &Store, dir: &ContainerDir, plan: &ContainerSpec) -> Result<Outcome> {
    dir.await_start();
    let run = dir.run_record()?.filter(|_| dir.status().is_live()).ok_or_else(|| not_running(dir))?;
    let check = of(dir, plan).ok_or_else(|| {
        Error::new(Kind::Conflict, format!("container {} has no defined healthcheck", dir.called()))
            .hint("Containers get one from their image or by: coracle run --health-cmd COMMAND ...")
    })?;
    let before = record_of(dir, &run);
    let startup = check.startup.as_ref().filter(|_| !before.started);
    let probe = startup.map_or(&check.probe, |startup| &startup.probe);
    let most = if check.log_size == 0 { OUTPUT_MAX } else { OUTPUT_MAX.min(check.log_size as usize) };
    let process = ProcessSpec { argv: probe.argv(), init: false, preserve_fds: 0, ..plan.process.clone() };
    let start = Utc::now();
    // A character takes four bytes at most.
    let captured = capture(store, dir, plan, process, probe.timeout, most.saturating_mul(4));
    if run.open_init().is_none() || dir.stop_asked() == Some(run.run) {
        let (status, follows) = (before.status, OnFailure::None);
        return Ok(Outcome { success: false, stopped: true, status, follows, again: Some(SOME_TIME) });
    }
    let checked = checked(start, captured, most);
    let success = checked.code == 0;
    let lock = dir.lock()?;
    // What `update` has put in its place, or nothing, is what the record is about now.
    if of(dir, plan).as_ref() != Some(&check) {
        drop(lock);
        return self::check(store, dir, plan);
    }
    // Another check may have come to its end since.
    let mut record = record_of(dir, &run);
    let restart = apply(&mut record, &check, success, start - run.started);
    note(store, dir, plan, &check, &mut record, checked)?;
    drop(lock);
    let follows = match record.status {
        _ if restart => OnFailure::Restart,
        Health::Unhealthy => check.on_failure,
        _ => OnFailure::None,
    };
    let again = Some(pause(&check, &record, Utc::now() - run.started)).filter(|pause| !pause.is_zero());
    Ok(Outcome { success, stopped: false, status: record.status, follows, again })
}

/// The time until the next check of a container that has run for so long.
fn pause(check: &HealthCheck, record: &HealthRecord, age: chrono::Duration) -> Duration {
    match (&check.startup, check.start_interval) {
        (Some(startup), _) if !record.started => startup.probe.interval,
        (_, Some(interval))
            if record.status == Health::Starting
                && age.to_std().is_ok_and(|age| age < check.start_period) =>
        {
            interval
        }
        _ => check.probe.interval,
    }
}

/// The record, if it is about this run.
fn record_of(dir: &ContainerDir, run: &RunRecord) -> HealthRecord {
    match dir.health().ok().flatten() {
        Some(record) if record.run == run.run => record,
        // What earlier runs left in the log is of interest still.
        other => HealthRecord { run: run.run, log: other.unwrap_or_default().log, ..HealthRecord::default() },
    }
}

fn checked(start: DateTime<Utc>, captured: Result<Captured>, most: usize) -> Checked {
    let (code, output) = match captured {
        Ok(Captured { code: Some(code), output }) => {
            (code.into(), String::from_utf8_lossy(&output).into_owned())
        }
        Ok(Captured { code: None, output }) => {
            let output = String::from_utf8_lossy(&output).into_owned();
            (-1, format!("{output}the check took too long and was killed"))
        }
        Err(error) => (error.kind().exit_code().into(), error.to_string()),
    };
    Checked { start, end: Utc::now(), code, output: output.chars().take(most).collect() }
}

/// Counts a result; true when the start-up checks have failed so often that a restart is due.
fn apply(record: &mut HealthRecord, check: &HealthCheck, success: bool, age: chrono::Duration) -> bool {
    let startup = check.startup.as_ref().filter(|_| !record.started);
    record.streak = if success { 0 } else { record.streak + 1 };
    if let Some(startup) = startup {
        if success {
            record.startup_successes += 1;
            if record.startup_successes >= startup.success.max(1) {
                record.started = true;
                record.status = Health::Healthy;
            }
        }
        return !success && startup.probe.retries > 0 && record.streak >= startup.probe.retries;
    }
    if success {
        record.status = Health::Healthy;
    } else if record.status != Health::Healthy && age.to_std().is_ok_and(|age| age < check.start_period) {
        record.streak = 0;
    } else if record.streak >= check.probe.retries {
        record.status = Health::Unhealthy;
    }
    false
}

/// How many of these results are kept, the latest: as many as were asked for, 0 for all, but no more than
/// fit into a record that is rewritten with each check.
fn kept(log: &[Checked], count: u32) -> usize {
    let most = if count == 0 { usize::MAX } else { count as usize };
    let mut room = LOG_MAX;
    let fits = |checked: &&Checked| match room.checked_sub(checked.output.len() + CHECKED_SIZE) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    log.iter().rev().take(most).take_while(fits).count().max(log.len().min(1))
}

/// Writes the record and logs the event of the check.
fn note(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    check: &HealthCheck,
    record: &mut HealthRecord,
    checked: Checked,
) -> Result<()> {
    let mut event = report::event(dir, plan, Action::HealthStatus).health(record.status.as_str());
    let cut = |log: &mut Vec<Checked>| drop(log.drain(..log.len() - kept(log, check.log_count)));
    match log_file(dir, check) {
        Some(file) => {
            let log = record::read::<HealthRecord>(&file).ok().flatten().unwrap_or_default().log;
            record.log = [log, vec![checked]].concat();
            cut(&mut record.log);
            record::replace(&file, record, Durability::Volatile)?;
            record.log.clear();
        }
        None if check.destination == LogDestination::EventsLogger => {
            event = event
                .attribute("health_log", checked.output)
                .attribute("health_code", checked.code.to_string());
        }
        None => {
            record.log.push(checked);
            cut(&mut record.log);
        }
    }
    dir.write_health(record)?;
    store.events().emit(Event { time: Utc::now(), ..event });
    Ok(())
}

/// What a leaf tells the monitor.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    follows: OnFailure,
    well: bool,
    again: Option<Duration>,
}

/// The series of checks of one run; part of the relay's loop.
#[derive(Debug)]
pub struct Checks<'a> {
    store: &'a Store,
    dir: &'a ContainerDir,
    plan: &'a ContainerSpec,
    due: Option<Instant>,
    well: bool,
    leaf: Option<Child>,
}

impl<'a> Checks<'a> {
    /// Those of a run that has just begun; `None` when the container has no health check.
    pub(super) fn new(
        store: &'a Store,
        dir: &'a ContainerDir,
        plan: &'a ContainerSpec,
        run: &RunRecord,
    ) -> Option<Checks<'a>> {
        // What a --rm container was made with cannot be changed, and it must start fast.
        let check = if plan.lifecycle.auto_remove { plan.health.clone() } else { of(dir, plan) }?;
        let mut record = record_of(dir, run);
        (record.status, record.streak) = (Health::Starting, 0);
        // Without the record the container is shown without a health, and checked all the same.
        let _ = dir.write_health(&record);
        let interval = check.startup.as_ref().map_or(check.probe.interval, |s| s.probe.interval);
        let due = (!interval.is_zero()).then(Instant::now);
        Some(Checks { store, dir, plan, due, well: false, leaf: None })
    }
}

impl HealthChecks for Checks<'_> {
    fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.leaf.is_none())
    }

    fn well(&self) -> bool {
        self.well
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.leaf.as_ref().map(|leaf| leaf.link.as_fd())
    }

    fn begin(&mut self) {
        self.due = Some(Instant::now() + SOME_TIME);
        self.leaf = fork::spawn(0, |link| leaf(&link, self.store, self.dir, self.plan)).ok();
    }

    fn finish(&mut self) -> OnFailure {
        let Some(leaf) = self.leaf.take() else { return OnFailure::None };
        match leaf.link.recv::<Told>() {
            Ok(Some((told, _))) => {
                self.well = told.well;
                self.due = told.again.map(|time| Instant::now() + time);
                told.follows
            }
            _ => OnFailure::None,
        }
    }
}

impl Drop for Checks<'_> {
    fn drop(&mut self) {
        if let Some(leaf) = &self.leaf {
            // The relay's loop or the next one reaps it.
            let _ = process::pidfd_send_signal(leaf.pidfd.as_fd(), libc::SIGKILL);
        }
    }
}

/// One check, in a process of its own; ends with the monitor.
fn leaf(link: &Link, store: &Store, dir: &ContainerDir, plan: &ContainerSpec) -> i32 {
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    // The container's streams and its clients' sockets must not stay open for us.
    if fd::close_all_but(&[link.as_fd()]).is_err() {
        return 125;
    }
    let outcome = store.containers().open(dir.id()).and_then(|dir| check(store, &dir, plan));
    let told = match outcome {
        Ok(Outcome { follows, status, again, .. }) => {
            Told { follows, well: status == Health::Healthy, again }
        }
        // Paused or just ending, or the disk is full: another time.
        Err(_) => Told { follows: OnFailure::None, well: false, again: Some(SOME_TIME) },
    };
    // The monitor may be gone.
    let _ = link.send(&told, &[]);
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::health::{Probe, Startup};

    fn probe(retries: u32) -> Probe {
        let usual = Duration::from_secs(30);
        Probe { test: vec!["CMD".into(), "true".into()], interval: usual, timeout: usual, retries }
    }

    fn health_check() -> HealthCheck {
        HealthCheck {
            probe: probe(2),
            start_period: Duration::from_secs(10),
            start_interval: Some(Duration::from_secs(1)),
            startup: None,
            on_failure: OnFailure::None,
            destination: LogDestination::Local,
            log_count: 5,
            log_size: 500,
        }
    }

    #[test]
    fn results_take_no_more_room_than_there_is() {
        let one = |output: &str| {
            let time = Utc::now();
            Checked { start: time, end: time, code: 0, output: output.to_owned() }
        };
        assert!(serde_json::to_string(&one("")).unwrap().len() < CHECKED_SIZE);
        let log = vec![one("fine"); 100_000];
        assert_eq!(kept(&log[..10], 5), 5);
        assert_eq!(kept(&log[..10], 50), 10);
        assert_eq!(kept(&log[..10], 0), 10);
        assert_eq!(kept(&log, 0), LOG_MAX / (CHECKED_SIZE + 4));
        assert_eq!(kept(&log, u32::MAX), LOG_MAX / (CHECKED_SIZE + 4));
        assert_eq!(kept(&[one(""), one(&"x".repeat(2 * LOG_MAX))], 0), 1, "the last one stays");
        assert_eq!(kept(&[], 0), 0);
    }

    fn after(check: &HealthCheck, results: &[(bool, i64)]) -> (HealthRecord, bool) {
        let mut record = HealthRecord::default();
        let mut restart = false;
        for (success, age) in results {
            restart = apply(&mut record, check, *success, chrono::Duration::seconds(*age));
        }
        (record, restart)
    }

    #[test]
    fn failures_count_after_the_start_period_and_until_a_success() {
        let check = health_check();
        for (results, status, streak) in [
            (&[][..], Health::Starting, 0),
            (&[(false, 1), (false, 2), (false, 3)], Health::Starting, 0),
            (&[(false, 1), (false, 11)], Health::Starting, 1),
            (&[(false, 11), (false, 12)], Health::Unhealthy, 2),
            (&[(false, 11), (true, 12), (false, 13)], Health::Healthy, 1),
            (&[(false, 11), (false, 12), (true, 13)], Health::Healthy, 0),
            // Once it was well, the time of starting is over.
            (&[(true, 1), (false, 2), (false, 3)], Health::Unhealthy, 2),
        ] {
            let (record, restart) = after(&check, results);
            assert_eq!((record.status, record.streak, restart), (status, streak, false), "{results:?}");
        }
    }

    #[test]
    fn checks_are_more_frequent_until_the_container_is_well() {
        let check = health_check();
        let pause = |status: Health, age: i64| {
            let record = HealthRecord { status, ..HealthRecord::default() };
            pause(&check, &record, chrono::Duration::seconds(age)).as_secs()
        };
        assert_eq!((pause(Health::Starting, 3), pause(Health::Starting, 11)), (1, 30));
        assert_eq!((pause(Health::Healthy, 3), pause(Health::Unhealthy, 3)), (30, 30));
    }

    #[test]
    fn startup_checks_come_first() {
        let startup = Startup { probe: probe(3), success: 2 };
        let check = HealthCheck { startup: Some(startup), ..health_check() };
        let (record, restart) = after(&check, &[(true, 100), (false, 101), (false, 102)]);
        assert_eq!((record.status, record.started, restart), (Health::Starting, false, false));
        let (record, _) = after(&check, &[(true, 100), (false, 101), (true, 102)]);
        assert_eq!((record.status, record.started), (Health::Healthy, true));
        let (_, restart) = after(&check, &[(false, 1), (false, 2), (false, 3)]);
        assert!(restart);
    }
}
