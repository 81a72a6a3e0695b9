//! Ending containers for their removal, by any means and in bounded time.
//!
//! Theory of operation. All containers go through the same steps in parallel, each with its own time-out. First
//! each gets its stop signal. After its time-out it is killed. If that has not ended it within [`AFTER_KILL`],
//! the process that holds its `alive` lock is killed: a monitor that is stopped, hangs or has not yet reached
//! the payload, or a copy whose output nobody reads. Then the container counts as one whose monitor died, which
//! any command can clean up and remove. A process that hangs in the kernel (state D) or is held by its tracer
//! holds no records, name or volumes; it is reported and left alone. So each container ends within its time-out
//! plus two seconds, whatever its processes do.

use super::policy::timed_out;
use super::recover::recover;
use super::signal::{ask, note_stop, nudge, signal};
use crate::container::Status;
use crate::error::{Error, Kind, Result, Warning};
use crate::failpoint;
use crate::runtime::processes;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::containers::watch::{self, Watch};
use crate::storage::events::{Action, Event};
use crate::sys::process;
use chrono::Utc;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Time for a killed container to end before its monitor is killed too.
const AFTER_KILL: Duration = Duration::from_millis(1000);
/// Time for the monitor to end, and for another command's change to the container.
const AFTER_MONITOR: Duration = Duration::from_millis(500);
/// Time for a command to start a container that it has just created.
const CLAIMED: Duration = Duration::from_secs(1);
/// Polling interval for events without notification: a start, and the exit of a process that is not a monitor.
const LOOK: Duration = Duration::from_millis(20);
/// Polling interval for a container that takes longer; its exit wakes us.
const AT_REST: Duration = Duration::from_secs(1);

/// A container to be ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// The container.
    pub container: &'a ContainerDir,
    /// What asks it to stop.
    pub signal: i32,
    /// How long it gets before it is killed; `None` is forever.
    pub patience: Option<Duration>,
}

/// How far one has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is just being started.
    Waits,
    Asked,
    Killed(Instant),
    /// The holder of `alive` was killed.
    Alone(Instant),
}

struct Case<'a> {
    target: Target<'a>,
    step: Step,
    /// The event of its end; the directory of a --rm container goes with it.
    told: Option<Event>,
    /// Its first process.
    first: Option<(i32, OwnedFd)>,
    /// What wakes us before `look`.
    watch: Option<Watch>,
    /// When to look at it again.
    look: Instant,
    /// That it did not end in time.
    late: Option<Warning>,
    done: Option<Result<()>>,
}

/// Most containers that are watched at a time, with three descriptors each. The others wait for their turn and
/// for their deadlines.
const WATCHED: usize = 250;

/// Ends containers, all at the same time. Gives for each, in this order, whether it has ended, and whether too late.
pub(super) fn end_all(store: &Store, targets: &[Target<'_>]) -> Vec<(Result<()>, Option<Warning>)> {
    let begun = Instant::now();
    let mut cases: Vec<Case<'_>> = targets.iter().map(Case::new).collect();
    loop {
        let now = Instant::now();
        for case in cases.iter_mut().filter(|case| case.done.is_none() && case.look <= now) {
            case.done = case.go_on(store, begun);
            match case.done {
                Some(_) => case.watch = None,
                None => case.look = now + case.longest(begun),
            }
        }
        let Some(next) = cases.iter().filter(|case| case.done.is_none()).map(|case| case.look).min() else {
            return cases.into_iter().filter_map(|case| Some((case.done?, case.late))).collect();
        };
        let mut watched: Vec<&mut Case<'_>> =
            cases.iter_mut().filter(|case| case.done.is_none()).take(WATCHED).collect();
        let mut fresh = false;
        for case in watched.iter_mut().filter(|case| case.watch.is_none()) {
            case.watch = Some(Watch::end(case.target.container));
            // Once more, so that nothing falls between looking and waiting.
            (case.look, fresh) = (now, true);
        }
        if fresh {
            continue;
        }
        let watches = watched.iter_mut().filter_map(|case| case.watch.as_mut());
        watch::wait_any(watches, Some(next.saturating_duration_since(Instant::now())));
        for case in watched {
            if case.watch.as_ref().is_some_and(Watch::was_woken) {
                case.look = now;
            }
            case.watch = case.watch.take().filter(|watch| !watch.is_spent());
        }
    }
}

/// As [`end_all`], for one.
///
/// # Errors
/// When it could not be ended.
pub(super) fn end(store: &Store, target: Target<'_>) -> Result<()> {
    end_all(store, &[target]).pop().map_or(Ok(()), |(ended, _)| ended)
}

impl<'a> Case<'a> {
    fn new(target: &Target<'a>) -> Case<'a> {
        let look = Instant::now();
        Case {
            target: *target,
            step: Step::Waits,
            told: None,
            first: None,
            watch: None,
            look,
            late: None,
            done: None,
        }
    }

    /// How long nothing may be done about it.
    fn longest(&self, begun: Instant) -> Duration {
        match (self.step, self.target.patience) {
            (Step::Asked, Some(patience)) => patience.saturating_sub(begun.elapsed()).min(AT_REST),
            (Step::Asked, None) => AT_REST,
            // Its monitor's end, or what comes before that, wakes us.
            (Step::Killed(at), _) if self.watch.as_ref().is_none_or(Watch::has_monitor) => {
                AFTER_KILL.saturating_sub(at.elapsed())
            }
            _ => LOOK,
        }
    }

    /// Does what is due now; returns the result once there is nothing left to do.
    fn go_on(&mut self, store: &Store, begun: Instant) -> Option<Result<()>> {
        let Target { container, signal, patience } = self.target;
        let status = container.status();
        if self.has_ended(status, begun) {
            return Some(self.finish(store, status));
        }
        let over = patience.is_some_and(|patience| patience <= begun.elapsed());
        if self.step == Step::Waits && status.is_active() {
            self.told = Some(container.event(Action::Stop));
            self.step = Step::Asked;
            // Whatever is wrong with it, it is killed when its time is over.
            let _ = ask(container, signal);
            failpoint::reach("force.asked");
        }
        match self.step {
            Step::Waits if over && begun.elapsed() >= CLAIMED => self.kill_holders(),
            Step::Asked if over => {
                self.first = container.run_record().ok().flatten().and_then(|run| {
                    let pidfd = run.open_init()?;
                    Some((run.init.pid, pidfd))
                });
                self.late = timed_out(container, signal, patience);
                send_kill(container);
                failpoint::reach("force.killed");
                self.step = Step::Killed(Instant::now());
            }
            Step::Killed(at) if at.elapsed() >= AFTER_KILL => self.kill_holders(),
            Step::Alone(at) if at.elapsed() >= AFTER_MONITOR => return Some(Err(stuck(container))),
            // A start that has waited for the end of the last run has it now.
            Step::Alone(_) => kill_holder(container),
            _ => {}
        }
        None
    }

    /// Whether it can be removed now, what a dead monitor left aside.
    fn has_ended(&self, status: Status, begun: Instant) -> bool {
        let container = self.target.container;
        let claimed = || begun.elapsed() < CLAIMED && container.is_claimed();
        !container.in_place() || !status.is_active() && !container.is_in_hand() && !claimed()
    }

    /// Kills the process that holds `alive`, and any that takes it next.
    fn kill_holders(&mut self) {
        kill_holder(self.target.container);
        failpoint::reach("force.alone");
        self.step = Step::Alone(Instant::now());
    }

    /// It has ended: cleans up after its monitor, and reports processes that are left.
    fn finish(&mut self, store: &Store, status: Status) -> Result<()> {
        let container = self.target.container;
        if status == Status::Crashed && container.in_place() {
            // A command that is stopped while it has the lock is not waited for.
            match container.lock_within(AFTER_MONITOR) {
                Err(e) if e.kind() != Kind::NotFound => return Err(e),
                _ => {}
            }
            recover(store, container)?;
        }
        if let Some(told) = self.told.take() {
            store.events().emit(Event { time: Utc::now(), ..told });
        }
        if let Some((pid, pidfd)) = &self.first
            && let Some(why) = stays(*pid, pidfd)
        {
            log::warn!("container {} has ended, but {why}", container.id().short());
        }
        Ok(())
    }
}

fn kill_holder(container: &ContainerDir) {
    if let Some((_, holder)) = container.alive_holder() {
        let _ = process::pidfd_send_signal(holder.as_fd(), libc::SIGKILL);
    }
}

/// Kills the first process, after noting that the container must not be restarted.
pub(super) fn send_kill(container: &ContainerDir) {
    // If the disk is full, the monitor itself remembers that it was signalled.
    let _ = note_stop(container);
    // It has just exited by itself, or waits to be restarted.
    let _ = signal(container, libc::SIGKILL);
    // Where a thread of the payload is traced, the monitor sees the end only when it looks.
    nudge(container);
}

/// Why a container that was killed does not end.
pub(super) fn stuck(container: &ContainerDir) -> Error {
    let run = container.run_record().ok().flatten();
    let first = run.filter(|run| run.open_init().is_some()).map(|run| run.init.pid);
    let holder = container.alive_holder().map(|(pid, _)| pid);
    let kept: Vec<String> = first.into_iter().chain(holder).map(processes::shown).collect();
    let by = if kept.is_empty() { String::new() } else { format!(": {} stays", kept.join(" and ")) };
    Error::new(Kind::Runtime, format!("container {} was killed and did not end{by}", container.id().short()))
        .hint(
            "Look for the cause, such as a frozen cgroup or a hanging file system: ps -eo \
             pid,stat,wchan,args",
        )
}

/// Why a process that was killed stays, if it does.
fn stays(pid: i32, pidfd: &OwnedFd) -> Option<String> {
    let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    let has_ended = matches!(poll(&mut ended, PollTimeout::from(100u8)), Ok(1));
    let dead = processes::dead(pid);
    let shown = processes::shown(pid);
    // It was there all the while, so what was read is of this process.
    process::pidfd_send_signal(pidfd.as_fd(), 0).ok()?;
    match dead.and_then(|dead| dead.tracer) {
        Some(tracer) => Some(format!("{shown} and is kept by its tracer, {}", processes::shown(tracer))),
        None if has_ended => None,
        None => Some(format!("{shown} was killed and stays")),
    }
}
