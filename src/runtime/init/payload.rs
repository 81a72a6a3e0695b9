//! The last steps: signals, user, filter, capabilities, descriptors, exec.

use super::messages::{FromInit, report};
use super::order::Order;
use crate::fork::{self, Doing, Failure, Link, Step};
use crate::netns::swap;
use crate::runtime::caps::{self, Credentials, Sets};
use crate::runtime::passwd;
use crate::runtime::seccomp::Filter;
use crate::spec::ProcessSpec;
use crate::sys::{fd, process};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, execve};
use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::AsFd;

/// Becomes the payload: `user`, the order's filter and capabilities, then its program. `link` leads to
/// the parent.
///
/// # Errors
/// The failed step. `ENOENT` from [`Step::Execute`] means that the program was not found, `EACCES` and
/// `ENOEXEC` that it cannot be executed.
pub(in crate::runtime) fn exec(
    link: &Link,
    order: &Order,
    user: &passwd::ResolvedUser,
) -> Result<Infallible, Failure> {
    let planned = &order.plan.process;
    let argv = c_strings(&planned.argv)?;
    let env = c_strings(&environment(planned, user))?;
    process::default_signals();
    SigSet::empty().thread_set_mask().doing("unblock", "signals")?;
    // Before the drop, so that nothing we opened is in reach of the new user.
    fd::cloexec_from(3 + planned.preserve_fds).doing("close", "descriptors")?;
    if let Some(domain) = planned.personality {
        process::set_personality(domain).doing("set", "the execution domain")?;
    }
    if order.watched {
        watch(link)?;
    }
    drop_rights(order, user)?;
    // It may have died before the death signal was asked for.
    if link.other_end_is_gone() {
        return Err(Failure::other("start", "the payload", "nobody is left to wait for it"));
    }
    execute(&planned.argv[0], &argv, &env, search_path(&planned.env))
}

/// Leaves this process's connections to be decided by the monitor's leaf. Before the container's own filter, which may
/// allow no other.
fn watch(link: &Link) -> Result<(), Failure> {
    let calls = swap::install().doing("load", "the filter of accelerated connections")?;
    link.send(&FromInit::Calls, &[calls.as_fd()]).doing("tell", "the monitor")
}

/// Becomes the payload's user, with its capabilities, under its filter.
fn drop_rights(order: &Order, user: &passwd::ResolvedUser) -> Result<(), Failure> {
    let filter = order.filter.clone().map(|(program, flags)| Filter::from_parts(program, flags));
    caps::drop_to(&Credentials {
        user,
        capabilities: &Sets::of(&order.plan.security)?,
        no_new_privileges: order.plan.security.no_new_privileges,
        filter: filter.as_ref(),
        death_signal: Some(Signal::SIGKILL),
    })
}

fn c_strings(list: &[String]) -> Result<Vec<CString>, Failure> {
    list.iter()
        .map(|s| {
            CString::new(s.as_str()).map_err(|_| Failure::other("pass on", s.as_str(), "it holds a NUL byte"))
        })
        .collect()
}

fn environment(planned: &ProcessSpec, user: &passwd::ResolvedUser) -> Vec<String> {
    let mut env = planned.env.clone();
    if !env.iter().any(|e| e.starts_with("HOME=")) {
        env.push(format!("HOME={}", user.home));
    }
    // Descriptors are for the process that the variable names (sd_listen_fds(3)); only it knows its number here.
    if planned.preserve_fds > 0 && env.iter().any(|e| e.starts_with("LISTEN_FDS=")) {
        env.retain(|e| !e.starts_with("LISTEN_PID="));
        env.push(format!("LISTEN_PID={}", nix::unistd::getpid()));
    }
    env
}

fn search_path(env: &[String]) -> &str {
    env.iter()
        .find_map(|e| e.strip_prefix("PATH="))
        .unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

/// execvp(3) by hand: the container's `PATH` and environment, and the error a shell would report.
fn execute(name: &str, argv: &[CString], env: &[CString], path: &str) -> Result<Infallible, Failure> {
    let mut worst = Errno::ENOENT;
    let candidates: Vec<String> = if name.contains('/') {
        vec![name.to_owned()]
    } else {
        path.split(':')
            .map(|dir| if dir.is_empty() { format!("./{name}") } else { format!("{dir}/{name}") })
            .collect()
    };
    for candidate in candidates {
        let program = CString::new(candidate)
            .map_err(|_| Failure::other(Step::Execute, name, "it holds a NUL byte"))?;
        match execve(&program, argv, env) {
            Ok(never) => match never {},
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(Errno::EACCES) => worst = Errno::EACCES,
            Err(e) => {
                worst = e;
                break;
            }
        }
    }
    Err(Failure::new(Step::Execute, name, worst))
}

/// A small PID 1 (`--init`): starts the payload as its child, forwards signals, reaps, and ends as the
/// payload ends. It has the payload's rights and no more, and holds nothing any more when the payload begins:
/// one that may trace processes could have whatever this one has, the link to the monitor too. So the child
/// has that link, until it executes the payload.
pub(super) fn reap_for(
    link: &Link,
    order: &Order,
    user: &passwd::ResolvedUser,
) -> Result<Infallible, Failure> {
    let mut every = SigSet::all();
    every.remove(Signal::SIGTTIN);
    every.remove(Signal::SIGTTOU);
    every.thread_block().doing("block", "signals")?;
    let signals = SignalFd::with_flags(&every, SfdFlags::SFD_CLOEXEC).doing("open", "signal descriptor")?;
    let child = fork::spawn(0, |up| {
        // End of file alone: its parent kept its rights, and failed. The end after the word says that the
        // parent has closed its end, the last thing it held.
        if !matches!(up.recv::<()>(), Ok(Some(_))) || !matches!(up.recv::<()>(), Ok(None)) {
            return 125;
        }
        // Its own group in the foreground, so that the terminal's signals reach it once.
        let _ = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0));
        if order.plan.io.tty {
            let _ = nix::unistd::tcsetpgrp(std::io::stdin(), nix::unistd::getpid());
        }
        report(link, exec(link, order, user))
    })
    .doing(Step::Start, "the payload")?;
    drop_rights(order, user)?;
    let kept = [signals.as_fd(), child.pidfd.as_fd(), child.link.as_fd()];
    // The child can still tell what fails from here on.
    let _ = fd::close_all_but(&kept);
    if child.link.send(&(), &[]).is_err() {
        process::exit_now(125);
    }
    let _ = fd::close_all_but(&kept[..2]);
    loop {
        let Some(info) = signals.read_signal().doing("wait for", "signals")? else { continue };
        if info.ssi_signo != Signal::SIGCHLD as u32 {
            // ESRCH: it has ended, and its end comes next.
            let _ = process::pidfd_send_signal(child.pidfd.as_fd(), info.ssi_signo as i32);
            continue;
        }
        match process::reap(child.pidfd.as_fd()).doing("wait for", "the payload")? {
            Some(process::Ended::Exited(code)) => process::exit_now(code),
            Some(process::Ended::Killed(signal)) => process::exit_now(128 + signal),
            None => process::reap_others(child.pid),
        }
    }
}

/// The PID 1 of a container without a payload, which holds namespaces for others: it ends when it is told to, and reaps
/// the orphans of those who share its process ids. It has no rights and holds nothing but what tells it of signals:
/// the end of the link to the monitor says that it is there.
pub(super) fn wait_for_end(order: &Order, user: &passwd::ResolvedUser) -> Result<Infallible, Failure> {
    let told = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD];
    let mut every = SigSet::all();
    every.remove(Signal::SIGTTIN);
    every.remove(Signal::SIGTTOU);
    every.thread_block().doing("block", "signals")?;
    let signals = SignalFd::with_flags(&SigSet::from_iter(told), SfdFlags::SFD_CLOEXEC)
        .doing("open", "signal descriptor")?;
    drop_rights(order, user)?;
    let _ = fd::close_all_but(&[signals.as_fd()]);
    loop {
        let Some(info) = signals.read_signal().doing("wait for", "signals")? else { continue };
        match info.ssi_signo == Signal::SIGCHLD as u32 {
            true => process::reap_others(nix::unistd::getpid()),
            false => process::exit_now(0),
        }
    }
}
