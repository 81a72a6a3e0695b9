//! Waiting for something to happen to a container, without polling.
//!
//! Theory of operation. There are three things to wait for:
//! - the end of a run: the FIFO that its monitor holds open hangs up ([`super::EndPipe`]). `stop`, `rm -f`,
//!   `kill`, `restart` and `wait` wait for that;
//! - the end of the monitor, by its pidfd: a killed monitor records nothing;
//! - any change of the records or the log, by an inotify watch on the container's directory, which fires for
//!   each line and for each record renamed into place, also after the directory was moved to the trash.
//!
//! Closing an inotify descriptor takes 6 to 20 ms (an SRCU grace period in the kernel), so it is used only
//! where nothing else can be waited for: by `logs -f`; by `wait --condition` for a state other than the exit,
//! as pausing and starting change a record; and for the end of a container that has no monitor yet, has lost
//! its runtime directory, or was started by an earlier version. If the user's inotify watches are used up, that
//! wait polls every quarter of a second instead.

use super::{ContainerDir, RunRecord};
use crate::sys::fd::link_of;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

const WITHOUT_INOTIFY: Duration = Duration::from_millis(250);

/// What wakes a waiter for one container. Make it before looking at what is there, so that no change falls
/// between.
#[derive(Debug)]
pub struct Watch {
    end: Option<OwnedFd>,
    inotify: Option<Inotify>,
    monitor: Option<OwnedFd>,
    /// Something is missing that would wake.
    blind: bool,
    spent: bool,
    woken: bool,
}

impl Watch {
    /// For any change.
    pub fn new(container: &ContainerDir) -> Watch {
        let inotify = watch(container).ok();
        Watch::of(None, inotify, monitor(container), false)
    }

    /// For the end of the run that there is, or of the next one where there is none.
    pub fn end(container: &ContainerDir) -> Watch {
        let end = container.open_end();
        match monitor(container) {
            Some(monitor) if end.is_some() => Watch::of(end, None, Some(monitor), false),
            // Without a monitor it may be what a killed one left.
            monitor => Watch::of(None, watch(container).ok(), monitor, false),
        }
    }

    /// For the end of the monitor, if there is one.
    pub fn monitor(container: &ContainerDir) -> Watch {
        let monitor = monitor(container);
        let known = monitor.is_some();
        Watch::of(None, None, monitor, known)
    }

    fn of(end: Option<OwnedFd>, inotify: Option<Inotify>, monitor: Option<OwnedFd>, enough: bool) -> Watch {
        let blind = end.is_none() && inotify.is_none() && !enough;
        Watch { end, inotify, monitor, blind, spent: false, woken: false }
    }

    /// Whether there was a monitor when the watch was made.
    pub fn has_monitor(&self) -> bool {
        self.monitor.is_some()
    }

    /// Whether what it was made for has happened: to wait on takes a new one.
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// Whether the last wait ended because of this one.
    pub fn was_woken(&self) -> bool {
        self.woken
    }

    /// The descriptors that still say something.
    fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let lasting = self.inotify.as_ref().map(AsFd::as_fd);
        let once = [&self.end, &self.monitor].into_iter().flatten().filter(|_| !self.spent);
        lasting.into_iter().chain(once.map(AsFd::as_fd))
    }

    fn note(&mut self, ready: bool, in_time: bool) {
        self.woken = ready || self.blind && !in_time;
        if !ready {
            return;
        }
        if let Some(inotify) = &self.inotify {
            while inotify.read_events().is_ok() {}
        }
        self.spent |= [&self.end, &self.monitor].into_iter().flatten().any(has_ended);
    }
}

fn monitor(container: &ContainerDir) -> Option<OwnedFd> {
    let run = container.run_record().ok().flatten();
    // One that nobody has reaped yet has nothing more to tell.
    run.as_ref().and_then(RunRecord::open_monitor).filter(|monitor| !has_ended(monitor))
}

fn watch(container: &ContainerDir) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    // By descriptor, for the path may lead to the trash by now.
    let path = link_of(container.fd());
    let events = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVE_SELF;
    inotify.add_watch(path.as_str(), events)?;
    Ok(inotify)
}

/// Waits until something happened to one of the containers, `limit` at most. May wake without reason.
pub fn wait_any<'a>(watches: impl IntoIterator<Item = &'a mut Watch>, limit: Option<Duration>) {
    let mut watches: Vec<&mut Watch> = watches.into_iter().collect();
    // Nothing more comes from one that is spent, except for changes.
    let without = watches.iter().any(|w| w.blind || w.spent && w.inotify.is_none());
    let limit = match limit {
        Some(limit) if without => Some(limit.min(WITHOUT_INOTIFY)),
        None if without => Some(WITHOUT_INOTIFY),
        other => other,
    };
    let timeout = match limit {
        // Rounded up, or the last millisecond would be spent in a tight loop.
        Some(limit) => PollTimeout::try_from(limit + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
        None => PollTimeout::NONE,
    };
    let mut owners = Vec::new();
    let mut fds = Vec::new();
    for (index, watch) in watches.iter().enumerate() {
        for source in watch.sources() {
            owners.push(index);
            fds.push(PollFd::new(source, PollFlags::POLLIN));
        }
    }
    // A signal is a reason to look again as good as any.
    let in_time = poll(&mut fds, timeout).is_ok_and(|ready| ready > 0);
    let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
    drop(fds);
    let mut woken = vec![false; watches.len()];
    for (index, ready) in owners.into_iter().zip(ready) {
        woken[index] |= ready;
    }
    for (watch, ready) in watches.iter_mut().zip(woken) {
        watch.note(ready, in_time);
    }
}

/// Waits for the end of the process behind a pidfd.
pub fn wait_process(pidfd: &OwnedFd) {
    while !has_ended(pidfd) {
        let _ = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
    }
}

/// Whether the process behind a pidfd has ended (it becomes readable then, pidfd_open(2)), or a pipe's other
/// end is closed.
fn has_ended(fd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
