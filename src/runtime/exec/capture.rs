//! A process in a container whose output is wanted and whose time is short: a health check.

use super::{ExecRequest, Report, joiner, prepare};
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{self, Child};
use crate::runtime::client;
use crate::runtime::explain::explain_exec;
use crate::runtime::frame::{CONTENT_MAX, Frame};
use crate::spec::{ContainerSpec, ProcessSpec};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::sys::process;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
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
/// As [`super::run`].
pub fn capture(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    process: ProcessSpec,
    limit: Duration,
    most: usize,
) -> Result<Captured> {
    let request = ExecRequest { process, tty: false, stdin: false, privileged: false };
    let (doors, mut order, _) = prepare(store, dir, plan, &request)?;
    order.limit = Some(limit);
    let (ours, theirs) = client::socket_pair()?;
    let socket = Cell::new(Some(ours));
    let begun = Instant::now();
    let child = fork::spawn(0, |link| {
        // With a copy of our end it would never see us go.
        drop(socket.take());
        joiner(&link, &doors, &order, Some(theirs))
    });
    let child = child.context(Kind::Runtime, || "start the check")?;
    let followed = follow(&child, socket.take(), begun, limit, most);
    // It has ended, or hangs where no signal but this one reaches it.
    let _ = process::pidfd_send_signal(child.pidfd.as_fd(), libc::SIGKILL);
    let _ = child.wait();
    followed
}

fn follow(
    child: &Child,
    socket: Option<OwnedFd>,
    begun: Instant,
    limit: Duration,
    most: usize,
) -> Result<Captured> {
    let died = || Error::new(Kind::Runtime, "exec died while it entered the container");
    let socket = socket.ok_or_else(died)?;
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
    let mut message = vec![0; CONTENT_MAX + 1];
    while readable(socket.as_fd(), until) {
        let length = match recv(socket.as_raw_fd(), &mut message, MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            Ok(0) | Err(_) => return Err(died()),
            Ok(length) => length,
        };
        match Frame::decode(&message[..length]) {
            Some(Frame::Stdout(bytes) | Frame::Stderr(bytes)) => {
                let room = most.saturating_sub(captured.output.len());
                captured.output.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Some(Frame::Exit(code)) => {
                captured.code = (code != KILLED || begun.elapsed() < limit).then_some(code);
                break;
            }
            _ => {}
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
