//! A child that is created in other namespaces than its parent's.
//!
//! Theory of operation. A forked go-between enters the namespaces and clones the child from there, while this
//! process stays where it is. The child is still this process's own (`CLONE_PARENT`).

use super::{Child, Doing, Failure, Link, Step, spawn, spawn_in};
use nix::libc;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const WHAT: &str = "a process in other namespaces";

/// What the go-between reports: the child, with its descriptor and our end of its link, or why not.
#[derive(Serialize, Deserialize)]
enum Born {
    Child(i32),
    Failed(Failure),
}

/// Like [`spawn`], but the child is made by a go-between: `go_between` ends in [`bear`], in this process image
/// or in one that it has executed with its link.
///
/// # Errors
/// What the go-between could not do, or that of a fork.
pub fn spawn_through(go_between: impl FnOnce(Link) -> i32) -> Result<Child, Failure> {
    let go_between = spawn(0, go_between).doing(Step::Start, WHAT)?;
    let born = go_between.link.recv::<Born>().doing("start", WHAT)?;
    go_between.wait().doing("start", WHAT)?;
    let lost = || Failure::other("start", WHAT, "its maker died");
    match born {
        Some((Born::Child(pid), fds)) => {
            let [pidfd, link] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| lost())?;
            Ok(Child { pid: Pid::from_raw(pid), pidfd, link: Link::from_fd(link) })
        }
        Some((Born::Failed(failure), _)) => Err(failure),
        None => Err(lost()),
    }
}

/// The go-between's part: runs `enter`, then makes the child, which runs `work`, into this cgroup as with
/// [`spawn_in`]. Returns the exit code.
pub fn bear(
    up: &Link,
    cgroup: Option<BorrowedFd<'_>>,
    flags: u64,
    enter: impl FnOnce() -> Result<(), Failure>,
    work: impl FnOnce(Link) -> i32,
) -> i32 {
    let flags = flags | libc::CLONE_PARENT as u64;
    let born = enter().and_then(|()| spawn_in(cgroup, flags, work).doing(Step::MakeNamespaces, WHAT));
    // A parent that is gone leaves nobody to tell.
    let (sent, code) = match &born {
        Ok(Child { pid, pidfd, link }) => {
            (up.send(&Born::Child(pid.as_raw()), &[pidfd.as_fd(), link.as_fd()]), 0)
        }
        Err(failure) => (up.send(&Born::Failed(failure.clone()), &[]), 125),
    };
    if sent.is_ok() { code } else { 125 }
}
