//! Waiting for something to happen to a container, without polling.
//!
//! Theory of operation. Records and log are files in one directory: an inotify watch on it wakes for each
//! line and for each record renamed into place, also after the directory went to the trash. A monitor
//! that was killed renames nothing, so its pidfd is waited for as well. When the user's inotify watches
//! are used up the wait ends every quarter of a second instead.

use super::{ContainerDir, RunRecord};
use crate::sys::fd::link_of;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

const WITHOUT_INOTIFY: Duration = Duration::from_millis(250);

/// What wakes a waiter for one container.
#[derive(Debug)]
pub struct Watch {
    inotify: Option<Inotify>,
    monitor: Option<OwnedFd>,
    monitor_ended: bool,
}

impl Watch {
    /// Watches a container. Make it before looking at what is there, so that no change falls between.
    pub fn new(container: &ContainerDir) -> Watch {
        let run = container.run_record().ok().flatten();
        let monitor = run.as_ref().and_then(RunRecord::open_monitor);
        Watch { inotify: watch(container).ok(), monitor, monitor_ended: false }
    }

    /// Whether there was a monitor when the watch was made.
    pub fn has_monitor(&self) -> bool {
        self.monitor.is_some()
    }
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
pub fn wait_any(watches: &mut [Watch], limit: Option<Duration>) {
    let without = watches.iter().any(|w| w.inotify.is_none());
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
    let mut fds = Vec::new();
    for watch in watches.iter() {
        fds.extend(watch.inotify.as_ref().map(|i| PollFd::new(i.as_fd(), PollFlags::POLLIN)));
        let monitor = watch.monitor.as_ref().filter(|_| !watch.monitor_ended);
        fds.extend(monitor.map(|m| PollFd::new(m.as_fd(), PollFlags::POLLIN)));
    }
    // A signal is a reason to look again as good as any.
    let _ = poll(&mut fds, timeout);
    for watch in watches {
        if let Some(inotify) = &watch.inotify {
            while inotify.read_events().is_ok() {}
        }
        watch.monitor_ended |= watch.monitor.as_ref().is_some_and(has_ended);
    }
}

/// Waits for the end of the process behind a pidfd.
pub fn wait_process(pidfd: &OwnedFd) {
    while !has_ended(pidfd) {
        let _ = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
    }
}

/// Whether the process behind a pidfd has ended (it becomes readable then, pidfd_open(2)).
fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
