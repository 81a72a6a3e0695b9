//! A process in a container whose output is captured and whose time is limited: a health check.

use super::{ExecSpec, Report, joiner, prepare};
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{self, Child, Doing, Step};
use crate::runtime::connection::{Connection, Output};
use crate::runtime::explain::explain_exec;
use crate::spec::{ContainerSpec, ProcessSpec};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::sys::process;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What the joiner gets beyond the limit to kill the process and say so.
const GRACE: Duration = Duration::from_secs(5);
/// The exit code of a process that was killed.
const KILLED: u8 = 128 + libc::SIGKILL as u8;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The exit code; `None` when it was killed because its time was over.
    pub code: Option<u8>,
    /// The beginning of what it wrote to both streams.
    pub output: Vec<u8>,
}

/// Runs a process in a container and waits for its end, `limit` at most: then it is killed. Of its
/// output no more than `most` bytes are kept.
///
/// # Errors
/// As [`super::start`].
pub fn capture(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    process: ProcessSpec,
    limit: Duration,
    most: usize,
) -> Result<Captured> {
    let request = ExecSpec { process, tty: false, stdin: false, privileged: false };
    let (targets, mut order, _) = prepare(store, dir, plan, &request)?;
    order.limit = Some(limit);
    let (ours, theirs) = Connection::pair()?;
    let connection = Cell::new(Some(ours));
    let begun = Instant::now();
    let child = fork::spawn(0, |link| {
        // With a copy of our end it would never see us go.
        drop(connection.take());
        joiner(&link, &targets, &order, Some(theirs))
    });
    let child = child.doing(Step::Start, "the check")?;
    let followed = follow(&child, connection.take(), begun, limit, most);
    // It has ended, or hangs where no signal but this one reaches it.
    let _ = process::pidfd_send_signal(child.pidfd.as_fd(), libc::SIGKILL);
    let _ = child.wait();
    followed
}

fn follow(
    child: &Child,
    connection: Option<Connection>,
    begun: Instant,
    limit: Duration,
    most: usize,
) -> Result<Captured> {
    let died = || Error::new(Kind::Runtime, "exec died while it entered the container");
    let mut connection = connection.ok_or_else(died)?;
    let until = begun + limit + GRACE;
    let mut captured = Captured { code: None, output: Vec::new() };
    if !readable(child.link.as_fd(), until) {
        return Ok(captured);
    }
    match child.link.recv::<Report>().context(Kind::Runtime, || "hear from exec")? {
        Some((Report::Failed(failure), _)) => return Err(explain_exec(failure)),
        Some(_) => {}
        None => return Err(died()),
    }
    while readable(connection.as_fd(), until) {
        match connection.receive()? {
            Some(Output::Stdout(bytes) | Output::Stderr(bytes)) => {
                let room = most.saturating_sub(captured.output.len());
                captured.output.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Some(Output::Exited(code)) => {
                captured.code = (code != KILLED || begun.elapsed() < limit).then_some(code);
                break;
            }
            Some(Output::Lost) => return Err(died()),
            None => {}
        }
    }
    Ok(captured)
}

/// Waits until there is something to read; false when the time is over.
fn readable(fd: BorrowedFd<'_>, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
            Ok(ready) if ready > 0 => return true,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}
