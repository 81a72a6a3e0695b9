//! `exec`: another process in a running container.
//!
//! Theory of operation. The caller forks the joiner, which outlives it when detached and relays the process's
//! streams. The user owns all the user namespaces involved, so no newuidmap is needed:
//! 1. The joiner enters the shared user namespace through the monitor's pidfd. If our own binary could be
//!    written from inside, it re-executes itself from a read-only mount now, while it still sees the host's
//!    mounts and its memory still belongs to a user namespace over which the container has no power: if
//!    executed inside, it could be traced by a container with `CAP_SYS_PTRACE` (attack case 36).
//! 2. Non-dumpable, it enters the container's namespaces except the mount namespace. The PID namespace takes
//!    effect only for its child, so the joiner itself is never visible inside.
//! 3. The child passes the checks of [`door`](super::door), opens the terminal, and becomes the process.
//!
//! See setns(2), pid_namespaces(7), ptrace(2).

mod capture;
mod trace;

pub use capture::{Captured, capture};

use super::connection::Connection;
use super::door::{Door, Ground, not_running};
use super::init::{self, Order, Stdio};
use super::relay::{Payload, Relay};
use super::{cgroup, files, join, monitor, passwd};
use crate::container::ContainerId;
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{self, Doing, Failure, Link, Step};
use crate::runtime::explain::explain_exec;
use crate::runtime::preflight;
use crate::spec::{ContainerSpec, LogDriver, ProcessSpec, Share};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::sys::{fd, process, pty};
use crate::{failpoint, userns};
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::convert::Infallible;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use trace::Trace;

/// What to run, in addition to the container's own plan.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecSpec {
    /// The process: argv, complete environment, directory, user.
    pub process: ProcessSpec,
    /// Allocate a terminal.
    pub tty: bool,
    /// Keep standard input open.
    pub stdin: bool,
    /// Full capabilities.
    pub privileged: bool,
}

/// What the joiner tells the caller, and its child the joiner.
#[derive(Debug, Serialize, Deserialize)]
enum Report {
    /// The terminal's master comes with this message.
    Terminal,
    /// The process runs.
    Started,
    /// It cannot be started.
    Failed(Failure),
}

/// What the joiner tells its child: that it is in the container's cgroup.
#[derive(Debug, Serialize, Deserialize)]
struct Go;

/// A process to be started.
#[derive(Debug, Serialize, Deserialize)]
struct Join {
    order: Order,
    /// The namespaces it finds, as flags of clone(2).
    namespaces: i32,
    /// It is killed after this time, with the processes that it has started.
    limit: Option<Duration>,
    /// Where it is recorded, if it is.
    trace: Option<Trace>,
    /// The cgroup for it to be in, when that is not the caller's.
    cgroup: Option<String>,
    /// The root that it must end up in.
    ground: Ground,
}

/// What the namespaces are entered through.
struct JoinTargets {
    /// The shared user namespace, by the container's monitor; not needed where it is ours already.
    shared: Option<OwnedFd>,
    inner: Inner,
}

/// What is needed once the shared namespace is entered.
struct Inner {
    /// The container's first process.
    first: OwnedFd,
    /// Its mount namespace.
    mounts: OwnedFd,
}

impl Inner {
    /// What the joiner needs to the end.
    fn kept<'a>(
        &'a self,
        link: &'a Link,
        client: Option<&'a OwnedFd>,
    ) -> impl Iterator<Item = BorrowedFd<'a>> {
        [link.as_fd(), self.first.as_fd(), self.mounts.as_fd()].into_iter().chain(client.map(AsFd::as_fd))
    }
}

/// Starts a process in a running container, under this id. Attached, the caller gets the connection to its streams,
/// on which its exit code comes; else it runs detached.
///
/// # Errors
/// `Conflict` when the container is not running; 126 and 127 when the command cannot be executed or is
/// not found; else the step that failed.
pub fn start(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    spec: &ExecSpec,
    id: &ContainerId,
    attach: bool,
) -> Result<Option<Connection>> {
    preflight::check_preserved(spec.process.preserve_fds)?;
    let (targets, mut order, run) = prepare(store, dir, plan, spec)?;
    order.trace = Some(Trace::new(store, dir, run, id, !attach));
    let (connection, client) = attach.then(Connection::pair).transpose()?.unzip();
    let connection = Cell::new(connection);
    let child = fork::spawn(0, |link| {
        // With a copy of our end it would never see us go.
        drop(connection.take());
        joiner(&link, &targets, &order, client)
    })
    .doing(Step::Start, "exec")?;
    match child.link.recv::<Report>().context(Kind::Runtime, || "hear from exec")? {
        Some((Report::Failed(failure), _)) => Err(explain_exec(failure)),
        Some(_) => Ok(connection.take()),
        None => Err(Error::new(Kind::Runtime, "exec died while it entered the container")),
    }
}

/// What to start, where, and in which run.
fn prepare(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    request: &ExecSpec,
) -> Result<(JoinTargets, Join, u64)> {
    let door = Door::open(dir)?;
    let gone = || not_running(dir);
    let shared = || {
        let monitor = door.run().open_monitor().and(Some(door.run().monitor))?;
        userns::namespace_of(Pid::from_raw(monitor.pid), Some(monitor.start_time))
    };
    let shared = if userns::inside() { None } else { Some(shared().ok_or_else(gone)?) };
    let mut order = order(store, plan, &door, request)?;
    super::secrets::add_variables(dir, plan, &mut order.order.plan.process.env)?;
    // If that is unknown, assume so.
    let limited = cgroup::effective(dir, plan).map_or(true, |limits| !limits.is_empty());
    order.cgroup = cgroup::reach(dir, door.run(), limited)?;
    let run = door.run().run;
    let inner = Inner { mounts: door.namespace("mnt")?, first: door.into_first() };
    Ok((JoinTargets { shared, inner }, order, run))
}

fn order(store: &Store, plan: &ContainerSpec, door: &Door, request: &ExecSpec) -> Result<Join> {
    let mut plan = plan.clone();
    plan.process = request.process.clone();
    plan.io.tty = request.tty;
    plan.io.stdin = request.stdin;
    // Only the container's first process has the caller's own streams: one in the background would keep
    // those of a command that has long returned.
    plan.io.log.driver = LogDriver::None;
    if request.privileged {
        plan.security.privileged = true;
        plan.security.capabilities = ::caps::all().iter().map(ToString::to_string).collect();
    }
    let filter = preflight::filter(store, &plan)?;
    let namespaces = join::to_enter(&plan, door.run().init.pid);
    let filter = filter.map(|f| (f.program().to_vec(), f.flags()));
    Ok(Join {
        order: Order::for_process(plan, filter),
        namespaces: namespaces.bits(),
        limit: None,
        trace: None,
        cgroup: None,
        ground: door.ground(),
    })
}

fn joiner(link: &Link, targets: &JoinTargets, join: &Join, client: Option<OwnedFd>) -> i32 {
    let kept: Vec<BorrowedFd<'_>> =
        targets.inner.kept(link, client.as_ref()).chain(targets.shared.as_ref().map(AsFd::as_fd)).collect();
    let served = fd::close_above_but(join.order.plan.process.preserve_fds, &kept)
        .doing("close", "descriptors")
        .and_then(|()| enter_shared(link, targets, join, client.as_ref()))
        .and_then(|()| serve(link, &targets.inner, join, client));
    conclude(link, served)
}

fn conclude(link: &Link, served: Result<(), Failure>) -> i32 {
    let Err(mut failure) = served else { return 0 };
    failure.stage = "exec".to_owned();
    // The caller may be gone.
    let _ = link.send(&Report::Failed(failure), &[]);
    125
}

/// Enters the shared user namespace; continues in [`resumed`] if our own binary has to be sealed.
fn enter_shared(
    link: &Link,
    targets: &JoinTargets,
    join: &Join,
    client: Option<&OwnedFd>,
) -> Result<(), Failure> {
    if let Some(shared) = &targets.shared {
        setns(shared, CloneFlags::CLONE_NEWUSER).doing("enter", "the shared user namespace")?;
    }
    if !init::must_seal(&join.order.plan.ids) {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWNS).doing(Step::MakeNamespaces, "mount namespace")?;
    let others: Vec<&OwnedFd> =
        [&targets.inner.first, &targets.inner.mounts].into_iter().chain(client).collect();
    let never = init::resume_from(&init::sealed_view()?, "exec", link, join, &others)?;
    match never {}
}

/// The joiner after it has executed itself again.
pub fn resumed(arguments: &[String]) -> ExitCode {
    let Some((link, order, fds)) = init::take_over(arguments) else { return ExitCode::from(125) };
    let mut fds = fds.into_iter();
    let (Some(first), Some(mounts), client) = (fds.next(), fds.next(), fds.next()) else {
        return ExitCode::from(125);
    };
    let inner = Inner { first, mounts };
    let served = init::read_order(order).and_then(|join: Join| serve(&link, &inner, &join, client));
    ExitCode::from(conclude(&link, served) as u8)
}

fn serve(link: &Link, targets: &Inner, join: &Join, client: Option<OwnedFd>) -> Result<(), Failure> {
    let plan = &join.order.plan;
    let kept: Vec<BorrowedFd<'_>> = targets.kept(link, client.as_ref()).collect();
    let (stdio, mut streams) = monitor::let_go(plan, client.is_some(), &kept)?;
    monitor::lend_pipes(plan, &stdio);
    let signals = monitor::hold_signals()?;
    let mut tracer = join.trace.as_ref().and_then(|trace| trace.open(plan));
    // While the hierarchy can be seen whole.
    let cgroup = join.cgroup.as_deref().map(cgroup::door).transpose()?;
    init::hide()?;
    // One that the container shares may not be its user namespace's; from here every one can be entered.
    let namespaces = CloneFlags::from_bits_retain(join.namespaces);
    if !namespaces.is_empty() {
        setns(&targets.first, namespaces).doing("enter", "the container's namespaces")?;
    }
    setns(&targets.first, CloneFlags::CLONE_NEWUSER).doing("enter", "the container's user namespace")?;
    let limited = cgroup.is_some();
    let child = fork::spawn(0, |up| become_process(&up, &targets.mounts, join, &stdio, limited));
    let child = child.doing(Step::Start, "the process")?;
    if let Some(mut cgroup) = cgroup {
        let moved = cgroup.write_all(child.pid.as_raw().to_string().as_bytes());
        if let Err(failure) = moved.doing("enter", "the container's cgroup") {
            // It waits, and nobody inside would reap it.
            let _ = process::pidfd_send_signal(child.pidfd.as_fd(), Signal::SIGKILL as i32);
            let _ = child.wait();
            return Err(failure);
        }
        child.link.send(&Go, &[]).doing("start", "the process")?;
    }
    fork::close_preserved(plan.process.preserve_fds);
    loop {
        match child.link.recv::<Report>().doing("follow", "the process")? {
            Some((Report::Terminal, fds)) => streams.terminal = fds.into_iter().next(),
            Some((Report::Failed(failure), _)) => {
                // Nobody inside would reap it.
                let _ = child.wait();
                return Err(failure);
            }
            Some((Report::Started, _)) => {}
            None => break,
        }
    }
    if let Some(tracer) = &mut tracer {
        tracer.started(child.pid);
    }
    let _ = link.send(&Report::Started, &[]);
    let mut relay = Relay::new(streams, client, None, Box::new(|_, _| {}))?;
    let payload = Payload {
        pid: child.pid,
        pidfd: child.pidfd.as_fd(),
        stop_signal: Signal::SIGTERM as i32,
        stop_timeout: Duration::from_secs(10),
        deadline: join.limit.map(|limit| Instant::now() + limit),
        late: None,
        group: join.limit.is_some(),
        helpers: None,
        lives_with: (plan.namespaces.pid != Share::Private).then(|| targets.first.as_fd()),
        network: None,
    };
    let end = relay.run(&payload, &signals, None)?;
    if let Some(tracer) = tracer {
        tracer.ended(end);
    }
    relay.finish(end.code);
    if let Some(path) = &join.cgroup {
        cgroup::leave(path);
    }
    Ok(())
}

/// The child: into the mount namespace, then the process; once it is in its cgroup, if it gets one.
fn become_process(link: &Link, mounts: &OwnedFd, join: &Join, stdio: &Stdio, limited: bool) -> i32 {
    if limited && !matches!(link.recv::<Go>(), Ok(Some(_))) {
        return 125;
    }
    failpoint::reach("exec.enter");
    let entered = join.ground.enter(mounts.as_fd());
    failpoint::reach("exec.entered");
    let Err(failure) = entered.and_then(|root| {
        init::become_root()?;
        finish(link, &root, &join.order, stdio)
    });
    let _ = link.send(&Report::Failed(failure), &[]);
    125
}

fn finish(link: &Link, root: &OwnedFd, order: &Order, stdio: &Stdio) -> Result<Infallible, Failure> {
    let plan = &order.plan;
    nix::unistd::setsid().doing("start", "session")?;
    let user = passwd::resolve(root.as_fd(), &plan.process.user)?;
    let terminal = if plan.io.tty { Some(open_terminal(link, root, user.uid)?) } else { None };
    // Unlike at the start of a container, a missing directory is not made.
    files::open_in(root.as_fd(), &plan.process.cwd, OFlag::O_PATH | OFlag::O_DIRECTORY)
        .doing(Step::EnterDirectory, &plan.process.cwd)?;
    files::enter_cwd(root.as_fd(), &plan.process.cwd, (user.uid, user.gid))?;
    nix::sys::stat::umask(Mode::from_bits_truncate(plan.process.umask));
    init::limits_within(plan)?;
    init::give_pipes(plan, stdio, (user.uid, user.gid));
    match &terminal {
        Some(slave) => init::streams([slave, slave, slave])?,
        None => init::streams([&stdio.streams[0], &stdio.streams[1], &stdio.streams[2]])?,
    }
    init::exec_payload(link, order, &user)
}

/// A terminal of the container's.
fn open_terminal(link: &Link, root: &OwnedFd, uid: u32) -> Result<OwnedFd, Failure> {
    let (master, slave) = init::new_terminal(root.as_fd(), uid)?;
    pty::make_controlling(slave.as_fd()).doing("take", "the terminal")?;
    link.send(&Report::Terminal, &[master.as_fd()]).doing("send", "the terminal")?;
    Ok(slave)
}
