//! Forking.
//!
//! Theory of operation. Rule 1 of ARCHITECTURE.md: only single-threaded processes fork. Every fork in the
//! program goes through this room, which checks that. Rule 2: children report facts, the parent explains them.
//! A child sends a [`Failure`] over a close-on-exec socket and calls `_exit`; end of file without one means
//! success (for a stage that executes a program: exec succeeded).
//!
//! A process that outlives its parent, or executes a program, keeps only the descriptors on its list and first
//! closes all others ([`crate::sys::fd::close_all_but`]), no matter whether the parent was started with them or
//! opened them later. Otherwise a client's socket in a server would stay open in a monitor as long as the
//! container runs. The same goes for every [`leaf`], which may work for a long time while its parent's other
//! clients come and go.

use crate::sys::process::{self, Side};
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

mod failure;
mod leaf;
mod link;
mod sibling;
mod step;
mod tidy;
mod worker;
pub use failure::{Doing, Failure};
pub use leaf::{Beside, Reporter, leaf, leaf_beside};
pub use link::Link;
pub use sibling::{bear, spawn_through};
pub use step::{Step, What};
pub use tidy::{StopSignals, tidy_leaf};
pub use worker::{Heard, Worker};

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

/// Takes back what a caller may have left to this process and that would keep it from its work: blocked signals,
/// SIGCHLD ignored, with which the end of a child cannot be waited for, and a mask that takes from its owner what it
/// makes (execve(2), "Effect on process attributes").
pub fn begin_afresh() {
    process::default_children();
    let _ = SigSet::empty().thread_set_mask();
    let mask = umask(Mode::empty());
    umask(mask & (Mode::S_IRWXG | Mode::S_IRWXO));
}

/// Has a write that is refused by a limit for the size of files fail, here and in every process forked from this
/// one, rather than end the process in the middle of a change. Payloads have the signal as ever.
pub fn survive_size_limits() {
    DIED_OF_SIZE.store(process::ignore_size_limits(true), Ordering::Relaxed);
}

/// Takes [`survive_size_limits`] back: what this process becomes is the caller's own.
pub fn as_before_size_limits() {
    if DIED_OF_SIZE.load(Ordering::Relaxed) {
        process::ignore_size_limits(false);
    }
}

/// Whether the caller has left the signal of such a limit as it is by default.
static DIED_OF_SIZE: AtomicBool = AtomicBool::new(false);

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
/// `EBUSY` when this process has threads (rule 1), else those of clone3(2).
pub fn spawn(flags: u64, work: impl FnOnce(Link) -> i32) -> nix::Result<Child> {
    spawn_in(None, flags, work)
}

/// As [`spawn`], in another cgroup than the caller's: a directory of version 2.
///
/// # Errors
/// As there; `EACCES` when the cgroup, or the one above both, is not this account's.
pub fn spawn_in(
    cgroup: Option<BorrowedFd<'_>>,
    flags: u64,
    work: impl FnOnce(Link) -> i32,
) -> nix::Result<Child> {
    if !single_threaded() {
        return Err(Errno::EBUSY);
    }
    let (ours, theirs) = Link::pair()?;
    match process::clone(flags, cgroup)? {
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
