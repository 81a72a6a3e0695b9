//! How one process becomes two.
//!
//! Theory of operation. Law 1: a process that forks has one thread, a process with threads never forks;
//! every fork in the program goes through this room, which checks it. Law 2: children report facts, the
//! parent explains: a child sends a [`Failure`] up a close-on-exec socket and ends with `_exit`; end of
//! file without one means that it went well (for a stage that executes a program: exec succeeded).

use crate::error::{Error, Kind};
use crate::sys::process::{self, Side};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

mod leaf;
mod sibling;
mod tidy;
pub use leaf::{Reporter, SentError, leaf};
pub use sibling::spawn_through;
pub use tidy::{StopSignals, tidy_leaf};

/// Largest message on a [`Link`], in bytes.
const MESSAGE_MAX: usize = 64 * 1024;
/// Longest object or detail of a failure, in bytes; escaped they take six times that.
const WORDS_MAX: usize = 4096;
/// Most descriptors in one message.
const FDS_MAX: usize = 16;

/// A re-executed stage's entry point: gets the arguments after its name.
pub type Stage = fn(&[String]) -> ExitCode;

/// Runs a re-executed stage if the command line starts with `__stage NAME`.
pub fn run_stage_if_asked(stages: &[(&str, Stage)]) -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    if args.next()? != "__stage" {
        return None;
    }
    let name = args.next()?;
    let rest: Vec<String> = args.collect();
    let (_, entry) = stages.iter().find(|(n, _)| *n == name)?;
    Some(entry(&rest))
}

/// What a stage could not do: facts only, for the parent to put into words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which process: `monitor`, `init`, `exec`, `unpack`, ...
    pub stage: String,
    /// The step that failed, in the infinitive: `mount overlay`.
    pub doing: String,
    /// The object, often a path.
    pub object: String,
    /// The kernel's answer; 0 when it was not a system call.
    pub errno: i32,
    /// More, in words, when an errno does not say it.
    pub detail: String,
}

impl Failure {
    /// A failed system call.
    pub fn new(doing: &str, object: impl Into<String>, errno: Errno) -> Self {
        Failure {
            stage: String::new(),
            doing: doing.to_owned(),
            object: cut(object.into()),
            errno: errno as i32,
            detail: String::new(),
        }
    }

    /// A failure that is not a system call's.
    pub fn other(doing: &str, object: impl Into<String>, detail: impl Into<String>) -> Self {
        Failure { detail: cut(detail.into()), ..Failure::new(doing, object, Errno::UnknownErrno) }
    }

    /// The failure at the bottom of an error's chain, if that is what it was.
    pub fn below<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Failure> {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(failure) = cause.downcast_ref::<Failure>() {
                return Some(failure);
            }
            next = cause.source();
        }
        None
    }

    /// The kernel's answer as a typed number.
    pub fn errno(&self) -> Errno {
        Errno::from_raw(self.errno)
    }

    /// Plain words without a hint: `stage: doing object: reason`.
    pub fn describe(&self) -> String {
        let mut text = self.doing.clone();
        if !self.object.is_empty() {
            text.push(' ');
            text.push_str(&self.object);
        }
        if !self.detail.is_empty() {
            text.push_str(&format!(": {}", self.detail));
        } else if self.errno != 0 {
            text.push_str(&format!(": {}", self.errno().desc()));
        }
        text
    }
}

/// Whatever a name holds, the failure about it fits into a message.
fn cut(mut text: String) -> String {
    if text.len() > WORDS_MAX {
        text.truncate(text.floor_char_boundary(WORDS_MAX));
        text.push_str("...");
    }
    text
}

/// The reason alone: what the kernel or the step said.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.detail.is_empty() { f.write_str(self.errno().desc()) } else { f.write_str(&self.detail) }
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let mut message = failure.doing.clone();
        if !failure.object.is_empty() {
            message.push(' ');
            message.push_str(&failure.object);
        }
        Error::new(Kind::Runtime, message).caused_by(failure)
    }
}

/// Names the step and object of a failed system call.
pub trait Doing<T> {
    /// Turns the errno into a [`Failure`].
    ///
    /// # Errors
    /// The failure, when there is one.
    fn doing(self, doing: &str, object: impl AsRef<std::path::Path>) -> std::result::Result<T, Failure>;
}

impl<T> Doing<T> for nix::Result<T> {
    fn doing(self, doing: &str, object: impl AsRef<std::path::Path>) -> std::result::Result<T, Failure> {
        self.map_err(|e| Failure::new(doing, object.as_ref().to_string_lossy(), e))
    }
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: &str, object: impl AsRef<std::path::Path>) -> std::result::Result<T, Failure> {
        self.map_err(|e| {
            let errno = e.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
            let mut failure = Failure::new(doing, object.as_ref().to_string_lossy(), errno);
            if e.raw_os_error().is_none() {
                failure.detail = e.to_string();
            }
            failure
        })
    }
}

/// One end of a close-on-exec `SOCK_SEQPACKET` pair that carries named messages and descriptors.
#[derive(Debug)]
pub struct Link(OwnedFd);

impl Link {
    /// Two connected ends.
    ///
    /// # Errors
    /// Those of socketpair(2).
    pub fn pair() -> nix::Result<(Link, Link)> {
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Link(a), Link(b)))
    }

    /// Wraps one end.
    pub fn from_fd(fd: OwnedFd) -> Link {
        Link(fd)
    }

    /// Sends one message with descriptors.
    ///
    /// # Errors
    /// `EPIPE` when the other end is gone, `EMSGSIZE` above 64 KiB.
    pub fn send<M: Serialize>(&self, message: &M, fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
        let bytes = serde_json::to_vec(message).map_err(|_| Errno::EINVAL)?;
        if bytes.len() > MESSAGE_MAX {
            return Err(Errno::EMSGSIZE);
        }
        self.send_bytes(&bytes, fds)
    }

    fn send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
        let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        loop {
            match sendmsg::<()>(
                self.0.as_raw_fd(),
                &[IoSlice::new(bytes)],
                control,
                MsgFlags::MSG_NOSIGNAL,
                None,
            ) {
                Err(Errno::EINTR) => {}
                other => return other.map(drop),
            }
        }
    }

    /// Waits for one message; `None` when the other end is closed.
    ///
    /// # Errors
    /// `EBADMSG` when it is not the expected message.
    pub fn recv<M: DeserializeOwned>(&self) -> nix::Result<Option<(M, Vec<OwnedFd>)>> {
        let (bytes, fds) = self.recv_bytes()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let message = serde_json::from_slice(&bytes).map_err(|_| Errno::EBADMSG)?;
        Ok(Some((message, fds)))
    }

    /// One packet; none at the end of file.
    fn recv_bytes(&self) -> nix::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let mut buffer = vec![0u8; MESSAGE_MAX];
        let mut control = cmsg_space!([RawFd; FDS_MAX]);
        let (length, fds) = loop {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.0.as_raw_fd(), &mut slices, Some(&mut control), flags) {
                // ECONNRESET is told once, ahead of what is queued, when the other end closed with
                // messages of ours unread; then come its messages and the end of file.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                Err(e) => return Err(e),
                Ok(message) => break (message.bytes, take_fds(message.cmsgs()?)),
            }
        };
        buffer.truncate(length);
        Ok((buffer, fds))
    }
}

impl Link {
    /// Whether the other end is closed, whatever it sent before.
    pub fn other_end_is_gone(&self) -> bool {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
        poll(&mut fds, PollTimeout::ZERO).is_ok() && fds[0].revents().is_some_and(|e| e.intersects(gone))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Link> for OwnedFd {
    fn from(link: Link) -> OwnedFd {
        link.0
    }
}

fn take_fds<'a>(messages: impl Iterator<Item = ControlMessageOwned> + 'a) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    for message in messages {
        if let ControlMessageOwned::ScmRights(raw) = message {
            fds.extend(raw.into_iter().map(crate::sys::fd::owned));
        }
    }
    fds
}

/// A forked process and the link to it.
#[derive(Debug)]
pub struct Child {
    /// Its pid.
    pub pid: Pid,
    /// A descriptor of it.
    pub pidfd: OwnedFd,
    /// Our end of the link.
    pub link: Link,
}

impl Child {
    /// Waits for its end: exit code, or 128+n.
    ///
    /// # Errors
    /// Those of waitid(2).
    pub fn wait(&self) -> nix::Result<i32> {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        loop {
            match waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED) {
                Err(Errno::EINTR) => {}
                Ok(WaitStatus::Exited(_, code)) => return Ok(code),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
                Ok(_) => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// Descriptors above standard error that this program was started with.
static INHERITED: OnceLock<Vec<RawFd>> = OnceLock::new();

/// Notes which descriptors were inherited; called first in main, before anything is opened.
pub fn note_inherited() {
    INHERITED.get_or_init(|| {
        let numbers = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let all: Vec<RawFd> = numbers.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
        // The listing's own descriptor is among them and closed by now.
        all.into_iter().filter(|fd| *fd > 2 && crate::sys::fd::is_open(*fd)).collect()
    });
}

/// The inherited descriptors.
pub fn inherited() -> &'static [RawFd] {
    INHERITED.get().map_or(&[], Vec::as_slice)
}

/// Closes the inherited descriptors from `first` up: a process that outlives its caller must not hold
/// the caller's pipes.
pub fn close_inherited(first: u32) {
    // Once: the numbers may stand for something else by now.
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    for fd in inherited().iter().filter(|fd| **fd >= first as RawFd) {
        drop(crate::sys::fd::owned(*fd));
    }
}

/// Closes the descriptors that were kept for the payload (`--preserve-fds`), once it has them: it alone
/// is to say when the caller's pipes end. Called at most once, with a count that was checked.
pub fn close_preserved(count: u32) {
    for fd in (3..).take(count as usize) {
        drop(crate::sys::fd::owned(fd));
    }
}

/// Whether this process has one thread.
pub fn single_threaded() -> bool {
    // The link count of the task directory is 2 plus one per thread.
    nix::sys::stat::stat("/proc/self/task").is_ok_and(|s| s.st_nlink == 3)
}

/// Forks a process, with namespace flags of clone(2), that runs `work` and ends with its result as exit
/// code. The child must leave through `_exit`, so `work` gets nothing that needs dropping later.
///
/// # Errors
/// `EBUSY` when this process has threads (law 1), else those of clone3(2).
pub fn spawn(flags: u64, work: impl FnOnce(Link) -> i32) -> nix::Result<Child> {
    if !single_threaded() {
        return Err(Errno::EBUSY);
    }
    let (ours, theirs) = Link::pair()?;
    match process::clone(flags)? {
        Side::Child => {
            drop(ours);
            // A panic ends here too: it must not unwind into the parent's part of the stack.
            let _guard = ExitOnUnwind;
            process::exit_now(work(theirs))
        }
        Side::Parent(pid, pidfd) => {
            drop(theirs);
            Ok(Child { pid, pidfd, link: ours })
        }
    }
}

/// Ends the process when a panic unwinds through it.
struct ExitOnUnwind;

impl Drop for ExitOnUnwind {
    fn drop(&mut self) {
        process::exit_now(101);
    }
}
