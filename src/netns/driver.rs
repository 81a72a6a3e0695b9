//! What connects a container that shares its network with nobody to the outside: user-mode networking.
//!
//! Theory of operation. A driver is a program of the host that puts an interface into the container's network namespace
//! and passes on what comes out of it. The monitor asks the driver that the plan names, in this order: what it needs of the
//! host, before anything is changed ([`Driver::validate`]); a process on the namespace ([`Driver::set_up`]), which is
//! waited for while the root file system is mounted ([`Helper::wait_ready`]). Dropping the process undoes it: its interface
//! goes with it. What the container is told of its network (addresses, name servers, its host) is the driver's
//! knowledge too. A new driver is one file, and a line in
//! [`super::driver`].

use super::HostResolver;
use super::reach::Reach;
use crate::error::{Error, Result};
use crate::fork::Failure;
use nix::unistd::Pid;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// A program that connects one container.
pub trait Driver: fmt::Debug {
    /// The program's name, and the stage name of its failures.
    fn name(&self) -> &'static str;

    /// Finds what it needs of the host.
    ///
    /// # Errors
    /// `Host` with the package to install; `Usage` for an option that the installed version lacks.
    fn validate(&self) -> Result<Tool>;

    /// Starts it on a network namespace and returns at once. The caller must have power over the user namespace that
    /// owns the network namespace; `place` is the directory of volatile state.
    ///
    /// # Errors
    /// A failed system call. That the program could not be executed shows in [`Helper::wait_ready`].
    fn set_up(&self, tool: &Tool, place: &Path, netns: BorrowedFd<'_>) -> Result<Box<dyn Helper>, Failure>;

    /// Puts a failure of [`Driver::set_up`] or [`Helper::wait_ready`] into a message with a hint.
    fn explain(&self, tool: &Tool, failure: &Failure) -> Error;

    /// How the container is reached in its network namespace; the tool is the one that connects it.
    fn reach(&self, tool: Option<&Tool>) -> Reach;

    /// The host as the container reaches it; `primary` is the host's own address, where it has one.
    fn host(&self, primary: Option<Ipv4Addr>, tool: Option<&Tool>) -> Option<IpAddr>;

    /// The name servers that the container can reach, best first; never empty. `listed` are those of `host`.
    fn servers(&self, listed: &[IpAddr], host: &HostResolver) -> Vec<IpAddr>;
}

/// A running program of a driver. It ends when this value is dropped or its owner dies.
pub trait Helper: fmt::Debug {
    /// Its process.
    fn pid(&self) -> Pid;

    /// Whether the process has ended.
    fn has_ended(&self) -> bool;

    /// Waits until the container can send and receive, at most ten seconds.
    ///
    /// # Errors
    /// What it said before it gave up, or that it could not be executed.
    fn wait_ready(&self) -> Result<(), Failure>;
}

/// A driver's program, as it is installed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Where it is.
    pub program: PathBuf,
    /// Of the options that not every version has, those that this one has.
    pub newer: Vec<&'static str>,
}

impl Tool {
    /// A program of which nothing more needs to be known.
    pub fn of(program: PathBuf) -> Tool {
        Tool { program, newer: Vec::new() }
    }

    /// Whether it has this option, of those that not every version has.
    pub fn has(&self, option: &str) -> bool {
        self.newer.contains(&option)
    }
}
