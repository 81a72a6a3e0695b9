//! Who is using a container: the claim of a command that is about to start it, and the holder of `alive`.
//!
//! Theory of operation. A claim is an fcntl record lock on a separate file, `claim`. It belongs to its process,
//! so a forked monitor does not inherit it, and the kernel releases it however the command ends. A container is
//! claimed from before it is visible until its monitor holds `alive`; commands that remove containers that are
//! not running treat a claimed one as being started. Like every such lock, it is lost when its process closes
//! any descriptor of the file, so a process never checks for its own claim.

use super::super::locks;
use super::ContainerDir;
use crate::sys::process;
use nix::unistd::Pid;
use std::os::fd::OwnedFd;

const CLAIM: &str = "claim";

impl ContainerDir {
    /// Claims the container for its start, until [`ContainerDir::release_claim`] or the end of the process.
    /// It is started all the same where another command has claimed it, or the disk is full.
    pub fn claim(&self) {
        // To open the file once more and close it again would drop the lock.
        if self.claim.borrow().is_none() {
            self.claim.replace(locks::hold(self.fd(), CLAIM, || false).ok());
        }
    }

    /// Releases the claim: a monitor holds `alive`, or there will be none.
    pub fn release_claim(&self) {
        drop(self.claim.take());
    }

    /// Whether another process is about to start the container.
    pub fn is_claimed(&self) -> bool {
        locks::is_alive(self.fd(), CLAIM)
    }

    /// Whether somebody has the container in hand who has not recorded a run of it: to start it, or to work on
    /// its files while it is not running. Never called by the monitor itself.
    pub fn is_in_hand(&self) -> bool {
        let Some(holder) = locks::alive_holder(self.fd(), "alive") else { return false };
        self.run_record().ok().flatten().is_none_or(|run| run.monitor.pid != holder)
    }

    /// Whether the container is being started, claimed for that, or otherwise in somebody's hand. Never called by
    /// the monitor itself.
    pub fn is_about_to_start(&self) -> bool {
        self.is_in_hand() || self.is_claimed()
    }

    /// The process that holds `alive`, if it is another one: its number and a descriptor.
    pub fn alive_holder(&self) -> Option<(i32, OwnedFd)> {
        let holder = || locks::alive_holder(self.fd(), "alive").filter(|pid| *pid > 0);
        let pid = holder()?;
        let pidfd = process::pidfd_open(Pid::from_raw(pid)).ok()?;
        // It still holds it, so the number was its own when it was opened.
        (holder() == Some(pid)).then_some((pid, pidfd))
    }
}
