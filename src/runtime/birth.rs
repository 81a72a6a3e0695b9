//! How the first process of a container gets into its namespaces.
//!
//! Theory of operation. If all namespaces are the container's own, the process is cloned into them: nobody else
//! is there, and nobody enters before the payload runs ([`super::door`]). If it shares another container's
//! namespaces, that container's processes may have `CAP_SYS_PTRACE` over everything in their user namespace
//! (attack case 36). So any process that has access to the host is made inaccessible to them before they can
//! see it:
//! 1. A go-between is forked. If our own binary has to be sealed, it re-executes itself here, in the shared
//!    user namespace: memory that belongs to the container's user namespace could be traced whatever its flags.
//! 2. It becomes non-dumpable ([`init::hide`]). Its memory belongs to a user namespace over which no container
//!    has power, so ptrace(2), `/proc/PID/{root,fd,mem,cwd,maps}` and pidfd_getfd(2) are now denied.
//! 3. It enters the shared namespaces, the user namespace last, and clones the first process, which inherits
//!    the memory and the flag until it executes the payload.
//!
//! See ptrace(2), "Ptrace access mode checking".

use super::init::{self, Order, Stdio};
use super::join::JoinedNamespaces;
use crate::fork::{self, Child, Doing, Failure, Link, Step};
use crate::sys::fd::close_above_but;
use nix::sched::{CloneFlags, setns, unshare};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

/// The instructions for a go-between, besides its descriptors.
#[derive(Debug, Serialize, Deserialize)]
struct Errand {
    order: Order,
    /// Namespaces to create, as flags of clone(2).
    own: u64,
    oom_score: Option<i32>,
    /// How many descriptors are namespaces to be entered.
    targets: usize,
    /// Whether the last of them is the cgroup of the new process.
    cgroup: bool,
}

/// Makes the first process of a container, stage 2, into this cgroup.
///
/// # Errors
/// A namespace that cannot be made or entered, or a failed fork.
pub(super) fn bear(
    joined: &JoinedNamespaces,
    cgroup: Option<BorrowedFd<'_>>,
    mut order: Order,
    stdio: Stdio,
) -> Result<Child, Failure> {
    let own = joined.owners.own();
    let oom_score = order.plan.process.oom_score;
    if !joined.among_others() {
        let child = fork::spawn_in(cgroup, own, |link| init::start(link, order, stdio));
        let child = child.doing(Step::MakeNamespaces, "namespaces")?;
        if let Some(score) = oom_score {
            let path = format!("/proc/{}/oom_score_adj", child.pid);
            fs::write(&path, score.to_string()).doing("write", &path)?;
        }
        return Ok(child);
    }
    let targets: Vec<&OwnedFd> = joined.targets().collect();
    let seal = std::mem::take(&mut order.seal);
    let errand = Errand { order, own, oom_score, targets: targets.len(), cgroup: cgroup.is_some() };
    let preserved = errand.order.plan.process.preserve_fds;
    fork::spawn_through(|up| {
        let handed = targets.iter().copied().chain(&stdio.streams).chain(&stdio.borrowed).map(AsFd::as_fd);
        let kept: Vec<BorrowedFd<'_>> = handed.chain(cgroup).chain([up.as_fd()]).collect();
        let closed = close_above_but(preserved, &kept).doing("close", "descriptors");
        let failure = match (closed, seal) {
            (Err(failure), _) => failure,
            (Ok(()), true) => {
                let Err(failure) = execute_anew(&up, &errand, &targets, &stdio, cgroup);
                failure
            }
            (Ok(()), false) => return errand.run(&up, &targets, cgroup, stdio),
        };
        fork::bear(&up, None, 0, || Err(failure), |_| 0)
    })
}

fn execute_anew(
    up: &Link,
    errand: &Errand,
    targets: &[&OwnedFd],
    stdio: &Stdio,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Infallible, Failure> {
    unshare(CloneFlags::CLONE_NEWNS).doing(Step::MakeNamespaces, "mount namespace")?;
    let view = init::sealed_view()?;
    let cgroup = cgroup.map(|fd| fd.try_clone_to_owned().doing("copy", "the cgroup")).transpose()?;
    let fds = targets.iter().copied().chain(&stdio.streams).chain(&stdio.borrowed).chain(&cgroup);
    init::resume_from(&view, "birth", up, errand, &fds.collect::<Vec<_>>())
}

/// The go-between after it has executed itself again: `link errand door... stdin stdout stderr borrowed... cgroup`.
pub fn resumed(arguments: &[String]) -> ExitCode {
    let Some((up, errand, mut targets)) = init::take_over(arguments) else { return ExitCode::from(125) };
    let Ok(errand) = init::read_order::<Errand>(errand) else { return ExitCode::from(125) };
    if targets.len() < errand.targets + 3 {
        return ExitCode::from(125);
    }
    let mut streams = targets.split_off(errand.targets);
    let mut borrowed = streams.split_off(3);
    let cgroup = if errand.cgroup { borrowed.pop() } else { None };
    let Ok(streams) = <[OwnedFd; 3]>::try_from(streams) else { return ExitCode::from(125) };
    let targets: Vec<&OwnedFd> = targets.iter().collect();
    let code = errand.run(&up, &targets, cgroup.as_ref().map(AsFd::as_fd), Stdio { streams, borrowed });
    ExitCode::from(code as u8)
}

impl Errand {
    fn run(self, up: &Link, targets: &[&OwnedFd], cgroup: Option<BorrowedFd<'_>>, stdio: Stdio) -> i32 {
        let Errand { order, own, oom_score, .. } = self;
        let enter = || {
            if let Some(score) = oom_score {
                // The child inherits it; a process that hides may not be written to any more.
                let path = "/proc/self/oom_score_adj";
                fs::write(path, score.to_string()).doing("write", path)?;
            }
            init::hide()?;
            for door in targets {
                setns(door, CloneFlags::empty()).doing("enter", "a namespace that is not ours")?;
            }
            // Where fs.suid_dumpable is set, a change of credentials may have undone it.
            init::hide()
        };
        fork::bear(up, cgroup, own, enter, |link| init::start(link, order, stdio))
    }
}
