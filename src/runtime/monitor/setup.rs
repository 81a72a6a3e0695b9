//! What a monitor does once, before the first run: detaching from its caller, signals, the root file system;
//! and the instructions for the first process of each run.

use super::context::MonitorContext;
use super::layers::Layers;
use super::{generated, live, owners, sources};
use crate::fork::{Doing, Failure};
use crate::runtime::failure::storage_failure;
use crate::runtime::init::{self, Order, Stdio};
use crate::runtime::namespaces::NamespaceOwners;
use crate::runtime::notify::Notify;
use crate::runtime::relay::{self, Streams};
use crate::runtime::{secrets, shared_root};
use crate::spec::{Attached, ContainerSpec, RootSpec};
use crate::storage::containers::ContainerDir;
use crate::storage::rootfs::{self, Places};
use crate::sys::{fd, mount};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, pipe2};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Leaves the caller behind, with all descriptors but those `kept` and the payload's own; returns the payload's
/// ends of its streams and ours. Without `keep`, nobody will ever look at them.
pub(in crate::runtime) fn let_go(
    plan: &ContainerSpec,
    keep: bool,
    kept: &[BorrowedFd<'_>],
) -> Result<(Stdio, Streams), Failure> {
    fd::close_above_but(plan.process.preserve_fds, kept).doing("close", "descriptors")?;
    // Fails when this process leads its group already, which a fork never does.
    let _ = nix::unistd::setsid();
    let null = null()?;
    let copy = |fd: &dyn AsFd| fd.as_fd().try_clone_to_owned().doing("copy", "stream");
    let io = if plan.io.is_passed_through() {
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        (Stdio::new([copy(&stdin)?, copy(&stdout)?, copy(&stderr)?]), Streams::default())
    } else {
        pipes(plan, &null, keep)?
    };
    dup2_stdin(&null)
        .and_then(|()| dup2_stdout(&null))
        .and_then(|()| dup2_stderr(&null))
        .doing("let go of", "streams")?;
    nix::unistd::chdir("/").doing("enter", "/")?;
    Ok(io)
}

fn null() -> Result<OwnedFd, Failure> {
    open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "/dev/null")
}

/// The streams of one more run, when the caller has long gone. With the passthrough log driver they are
/// `kept`, the caller's own.
pub(super) fn streams(plan: &ContainerSpec, kept: Option<&Stdio>) -> Result<(Stdio, Streams), Failure> {
    match kept {
        Some(kept) => Ok((copy(kept)?, Streams::default())),
        None => pipes(plan, &null()?, true),
    }
}

/// One more of each descriptor.
pub(super) fn copy(stdio: &Stdio) -> Result<Stdio, Failure> {
    let [stdin, stdout, stderr] = &stdio.streams;
    let copy = |fd: &OwnedFd| fd.try_clone().doing("copy", "stream");
    Ok(Stdio::new([copy(stdin)?, copy(stdout)?, copy(stderr)?]))
}

fn pipes(plan: &ContainerSpec, null: &OwnedFd, keep: bool) -> Result<(Stdio, Streams), Failure> {
    let copy = || null.try_clone().doing("copy", "/dev/null");
    if plan.io.tty || !keep {
        return Ok((Stdio::new([copy()?, copy()?, copy()?]), Streams::default()));
    }
    let pipe = || pipe2(OFlag::O_CLOEXEC).doing("make", "pipe");
    let (stdin, feed) = if plan.io.stdin {
        let (read, write) = pipe()?;
        (read, Some(write))
    } else {
        (copy()?, None)
    };
    let (stdout_read, stdout) = pipe()?;
    let (stderr_read, stderr) = pipe()?;
    let streams =
        Streams { stdin: feed, stdout: Some(stdout_read), stderr: Some(stderr_read), terminal: None };
    Ok((Stdio::new([stdin, stdout, stderr]), streams))
}

/// Assembles the root file system below the container's directory, from these layers.
///
/// A `volatile` one can never be mounted again. What it changes goes to `changes` if given ([`Extras`]), else to the
/// container's directory.
///
/// [`Extras`]: crate::runtime::extras::Extras
pub(in crate::runtime) fn assemble(
    layers: &Layers,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    changes: Option<&Path>,
    volatile: bool,
) -> Result<Places, Failure> {
    let lowers = match &plan.root {
        RootSpec::Layers(chain) => layers.of(chain)?,
        _ => Vec::new(),
    };
    let overlay = layers.overlay();
    let (upper, work, merged) = (dir.upper(), dir.work(), dir.merged());
    let fresh = dir.run_record().is_ok_and(|run| run.is_none());
    let mut places = Places { lowers, upper, work, merged, fresh, volatile, overlay };
    for (path, name, mode) in
        [(&places.upper, "upper", 0o755), (&places.work, "work", 0o700), (&places.merged, "merged", 0o700)]
    {
        match mkdirat(dir.fd(), name, Mode::from_bits_truncate(mode)) {
            Err(Errno::EEXIST) => {}
            other => other.doing("make directory", path)?,
        }
    }
    // It shows as the container's root directory.
    if let Some(changes) = changes {
        (places.upper, places.work) = (changes.join("fs"), changes.join("work"));
    }
    if changes.is_none()
        && let Some(tree) = shared_root::find(dir)
    {
        let target =
            open(&places.merged, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
        let target = target.doing("open", &places.merged)?;
        mount::move_mount(tree.as_fd(), target.as_fd()).doing("mount root on", &places.merged)?;
        return Ok(places);
    }
    owners::first_use(plan, &places.upper, || Ok(plan.ids.root()))?;
    rootfs::assemble(&plan.root, &places)?;
    Ok(places)
}

/// What the first process of a run is to do; volumes are made and filled where they are not.
pub(super) fn order(
    context: &MonitorContext<'_>,
    networks: &[&Attached],
    notify: Option<&Notify>,
) -> Result<Order, Failure> {
    let MonitorContext { store, dir, plan, filter, layers, places, tool, .. } = context;
    let merged = places.merged.as_path();
    let failed = |e: crate::error::Error| storage_failure("read secrets of", plan.id.short(), &e);
    let mut inside = (*plan).clone();
    if let Some(notify) = notify {
        notify.give(&mut inside);
    }
    let sources = sources::prepare(store, dir, &inside, (layers, merged))?;
    owners::hand_over(&mut inside, &sources, merged)?;
    // Nowhere but in the payload's environment: the order is written to no disk.
    secrets::add_variables(dir, plan, &mut inside.process.env).map_err(failed)?;
    Ok(Order {
        plan: inside,
        sources,
        secrets: secrets::files(dir, plan).map_err(failed)?,
        merged: merged.to_owned(),
        files: generated::files(plan, tool.as_ref(), networks, merged)?,
        changing: live::changing(plan),
        filter: filter.as_ref().map(|f| (f.program().to_vec(), f.flags())),
        // A first process that stays ours is executed again in any case: what our caller's memory held, its
        // environment for one, has no place inside, and `exec` could not enter by it.
        seal: plan.process.init || plan.process.idle || init::must_seal(&plan.ids),
        owners: NamespaceOwners::default(),
        borrowed: Vec::new(),
        own_cgroup: false,
        managed: false,
        watched: false,
    })
}

/// Takes over the signals that the relay reads and blocks the others.
pub(in crate::runtime) fn hold_signals() -> Result<SignalFd, Failure> {
    let set = relay::signal_set();
    // Everything else that a terminal or a session manager might send is not for a monitor.
    let mut blocked = nix::sys::signal::SigSet::all();
    for fault in [nix::sys::signal::SIGSEGV, nix::sys::signal::SIGBUS, nix::sys::signal::SIGABRT] {
        blocked.remove(fault);
    }
    blocked.thread_set_mask().doing("block", "signals")?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .doing("open", "signal descriptor")
}
