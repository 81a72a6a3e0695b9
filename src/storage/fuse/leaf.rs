//! The process of every server: dropping descriptors and privileges, then serving.

use crate::fork::{Doing, Failure, Link, Step};
use crate::sys::fd;
use caps::{CapSet, Capability, CapsHashSet};
use fuser::{Config, Filesystem, Session, SessionACL};
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the servers that this process starts outlive it.
static OUTLIVES: AtomicBool = AtomicBool::new(false);

/// Has the servers that this process starts from now on live as long as their mounts, and not only as long as it does.
pub fn outlive() {
    OUTLIVES.store(true, Ordering::Relaxed);
}

/// Lets go of all descriptors but those `kept`, of the mount namespace and of all capabilities but these.
///
/// # Errors
/// The failed step.
pub(super) fn become_small(kept: &[BorrowedFd<'_>], capabilities: &[Capability]) -> Result<(), Failure> {
    fd::close_all_but(kept).doing("close", "descriptors")?;
    unshare(CloneFlags::CLONE_NEWNS).doing(Step::MakeNamespaces, "mount namespace")?;
    let only: CapsHashSet = capabilities.iter().copied().collect();
    for (set, wanted) in
        [(CapSet::Inheritable, &CapsHashSet::new()), (CapSet::Effective, &only), (CapSet::Permitted, &only)]
    {
        caps::set(None, set, wanted).map_err(|e| Failure::other("drop", "capabilities", e.to_string()))?;
    }
    // A limit on the size of files is to become an error of one write, not the server's end.
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGXFSZ);
    blocked.thread_block().doing("block", "signals")?;
    prctl::set_no_new_privs().doing("give up", "new privileges")?;
    prctl::set_dumpable(false).doing("become", "non-dumpable")?;
    if OUTLIVES.load(Ordering::Relaxed) {
        // The caller's streams are not for it, nor are the signals of its terminal.
        let null =
            open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "/dev/null")?;
        let let_go = dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null));
        let_go.doing("let go of", "streams")?;
        return setsid().map(drop).doing("leave", "session");
    }
    // The process that mounted it no longer needs it then.
    prctl::set_pdeathsig(Signal::SIGKILL).doing("set", "parent death signal")
}

/// Says whether the server is ready; serves by this many threads until the file system is unmounted. Returns the
/// process's exit code.
pub(super) fn serve<S: Filesystem>(
    link: &Link,
    device: &OwnedFd,
    threads: usize,
    prepared: Result<S, Failure>,
) -> i32 {
    let ready = prepared.and_then(|server| Ok((server, copy(device)?)));
    let told = link.send(&ready.as_ref().map(drop).map_err(Clone::clone), &[]);
    let (Ok((server, device)), Ok(())) = (ready, told) else { return 125 };
    let mut config = Config::default();
    config.n_threads = Some(threads);
    match Session::from_fd(server, device, SessionACL::All, config) {
        Ok(session) => i32::from(session.run().is_err()),
        Err(_) => 1,
    }
}

/// A descriptor of a server's own.
pub(super) fn copy(fd: &OwnedFd) -> Result<OwnedFd, Failure> {
    fd.try_clone().doing("copy", "descriptor")
}

/// How many descriptors may stay open beside so many that always are: a caller's low limit must not become
/// errors inside.
pub(super) fn descriptors(always: usize) -> usize {
    /// What one answer takes for its time, and what the runtime holds.
    const SPARE: usize = 16;
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1 };
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    usize::try_from(hard).unwrap_or(usize::MAX).saturating_sub(always + SPARE)
}
