//! What the programs of drivers have in common: how a forked process becomes one, and what it wrote before it failed.

use crate::fork::{Doing, Failure, Step, What};
use crate::sys::fd::{cloexec_from, command};
use crate::sys::process::default_signals;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::Mode;
use nix::unistd;
use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How much of its error output is kept, in bytes.
const LOG_MAX: i64 = 16 * 1024;
/// How many of its last lines tell why it failed.
const LINES: usize = 3;

/// What a program says of its version; empty where it says nothing.
pub fn says_of_its_version(program: &Path) -> String {
    let asked = command(program).arg("--version").output();
    asked.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
}

/// A program's standard error: a memory file that cannot grow, so that writes beyond its size fail instead of filling
/// memory.
#[derive(Debug)]
pub(super) struct Log(OwnedFd);

impl Log {
    pub(super) fn new() -> nix::Result<Log> {
        let log = memfd_create(c"network-log", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        unistd::ftruncate(&log, LOG_MAX)?;
        fcntl(&log, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK))?;
        Ok(Log(log))
    }

    /// What was written, at most 16 KiB.
    pub(super) fn text(&self) -> String {
        use std::os::unix::fs::FileExt;
        let Ok(copy) = self.0.try_clone() else { return String::new() };
        let mut text = vec![0u8; LOG_MAX as usize];
        let length = std::fs::File::from(copy).read_at(&mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(&text[..length]);
        text.trim_end_matches('\0').to_owned()
    }

    /// The last lines in one; `None` when nothing was written.
    pub(super) fn end(&self) -> Option<String> {
        let log = self.text();
        let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LINES)..].join("; ");
        (!last.is_empty()).then_some(last)
    }
}

/// Leaves everything that is the monitor's: streams, directory, session, signals, and all descriptors at exec.
pub(super) fn leave_monitor(name: &str, log: &Log) -> Result<(), Failure> {
    unistd::setsid().doing("start a session for", name)?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).doing("unblock signals of", name)?;
    default_signals();
    unistd::chdir("/").doing("change directory to", "/")?;
    let null =
        open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "/dev/null")?;
    unistd::dup2_stdin(&null).doing("redirect input of", name)?;
    unistd::dup2_stdout(&null).doing("redirect output of", name)?;
    unistd::dup2_stderr(log.0.as_fd()).doing("redirect errors of", name)?;
    cloexec_from(3).doing("close descriptors of", name)?;
    nix::sys::prctl::set_no_new_privs().doing("set no_new_privs for", name)
}

/// Executes the program with these words and an empty environment; returns only a failure.
pub(super) fn become_program(program: &Path, words: Vec<String>) -> Result<Infallible, Failure> {
    let shown = || program.to_string_lossy();
    let zero = |_| Failure::other(Step::Execute, shown(), "an argument holds a zero byte");
    let file = CString::new(program.as_os_str().as_bytes()).map_err(zero)?;
    let words = words.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>().map_err(zero)?;
    let none: [&CStr; 0] = [];
    unistd::execve(&file, &words, &none).doing(Step::Execute, program)
}

/// The failure of a program that has said this and did not become ready. Its words are its own; what they are
/// about is looked up here, once.
pub(super) fn unready(name: &str, said: String) -> Failure {
    let plain = What::from("set up the network with");
    let doing = if said.contains("/dev/net/tun") { Step::OpenTun.into() } else { plain };
    Failure::other(doing, name, said).in_stage(name)
}

/// Whether the process of this descriptor has ended.
pub(super) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1))
}
