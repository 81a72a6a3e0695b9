//! `exec`: another process in a running container.
//!
//! Theory of operation. The caller forks the joiner, which outlives it when detached and relays the
//! process's streams. The user owns every user namespace concerned, so no newuidmap is needed:
//! 1. The joiner enters the container's user namespace by pidfd. When our own file could be written from
//!    inside, it takes a read-only view of it now, while it still sees the host's mounts.
//! 2. Non-dumpable, it enters all other namespaces but the mount namespace, the pid namespace among them:
//!    that takes effect for its child only, so the joiner itself is never visible inside (attack case 36).
//! 3. The child enters the mount namespace, re-executes itself from the view if there is one, opens the
//!    terminal, and becomes the process.
//!
//! See setns(2), pid_namespaces(7).

use super::client::{self, Attachment, Ended, Signals};
use super::init::{self, Order, Stdio};
use super::relay::{Payload, Relay};
use super::{explain_exec, files, monitor, users};
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{self, Doing, Failure, Link};
use crate::netns::NetMode;
use crate::plan::{ContainerPlan, ProcessPlan, Share};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, RunRecord};
use crate::sys::{process, pty};
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, fstatfs};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// `DEVPTS_SUPER_MAGIC` of `linux/magic.h`, which nix lacks.
const DEVPTS_SUPER_MAGIC: FsType = FsType(0x1cd1);

/// What to run, beside the container's own plan.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecRequest {
    /// The process: argv, complete environment, directory, user.
    pub process: ProcessPlan,
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

/// A process to be started, and the namespaces it finds.
struct Join {
    order: Order,
    namespaces: CloneFlags,
}

/// Runs a process in a running container. With an attachment its streams are relayed and its exit code
/// is given; without one it runs by itself and 0 is given at once.
///
/// # Errors
/// `Conflict` when the container does not run; 126 and 127 when the command cannot be executed or is
/// not found; else the step that failed.
pub fn run(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerPlan,
    request: ExecRequest,
    attach: Option<Attachment>,
) -> Result<u8> {
    let not_running = || {
        Error::new(Kind::Conflict, format!("container {} is not running", dir.id().short()))
            .hint("See which containers run: coracle ps")
    };
    let record: RunRecord = match dir.status().is_live() {
        true => dir.run_record()?.ok_or_else(not_running)?,
        false => return Err(not_running()),
    };
    let target = record.open_init().ok_or_else(not_running)?;
    let order = order(store, plan, &request)?;
    let signals = attach.as_ref().map(Signals::hold).transpose()?;
    let (socket, client) = match &attach {
        Some(_) => client::socket_pair().map(|(ours, theirs)| (Some(ours), Some(theirs)))?,
        None => (None, None),
    };
    let socket = Cell::new(socket);
    let child = fork::spawn(0, |link| {
        // With a copy of our end it would never see us go.
        drop(socket.take());
        joiner(&link, &target, &order, client)
    })
    .context(Kind::Runtime, || "start exec")?;
    match child.link.recv::<Report>().context(Kind::Runtime, || "hear from exec")? {
        Some((Report::Failed(failure), _)) => return Err(explain_exec(failure)),
        Some(_) => {}
        None => return Err(Error::new(Kind::Runtime, "exec died while it entered the container")),
    }
    let (Some(socket), Some(how), Some(signals)) = (socket.take(), attach, signals) else { return Ok(0) };
    match client::follow(&socket, &how, &signals)? {
        Ended::Exited(code) => Ok(code),
        Ended::Detached => Ok(0),
        Ended::Lost => Err(Error::new(Kind::Runtime, "exec died; the exit code is lost")),
    }
}

fn order(store: &Store, plan: &ContainerPlan, request: &ExecRequest) -> Result<Join> {
    let mut plan = plan.clone();
    plan.process = request.process.clone();
    plan.io.tty = request.tty;
    plan.io.stdin = request.stdin;
    if request.privileged {
        plan.security.privileged = true;
        plan.security.capabilities = ::caps::all().iter().map(ToString::to_string).collect();
    }
    let filter = super::filter(store, &plan)?;
    let mut namespaces = CloneFlags::empty();
    for (private, flag) in [
        (plan.namespaces.pid != Share::Host, CloneFlags::CLONE_NEWPID),
        (plan.namespaces.ipc != Share::Host, CloneFlags::CLONE_NEWIPC),
        (plan.namespaces.uts != Share::Host, CloneFlags::CLONE_NEWUTS),
        (plan.namespaces.cgroup != Share::Host, CloneFlags::CLONE_NEWCGROUP),
        (plan.network.mode != NetMode::Host, CloneFlags::CLONE_NEWNET),
    ] {
        if private {
            namespaces |= flag;
        }
    }
    let filter = filter.map(|f| (f.program().to_vec(), f.flags()));
    Ok(Join { order: Order::for_process(plan, filter), namespaces })
}

fn joiner(link: &Link, target: &OwnedFd, join: &Join, client: Option<OwnedFd>) -> i32 {
    match serve(link, target, join, client) {
        Ok(()) => 0,
        Err(mut failure) => {
            failure.stage = "exec".to_owned();
            let _ = link.send(&Report::Failed(failure), &[]);
            125
        }
    }
}

fn serve(link: &Link, target: &OwnedFd, join: &Join, client: Option<OwnedFd>) -> Result<(), Failure> {
    let plan = &join.order.plan;
    let (stdio, mut streams) = monitor::let_go(plan, client.is_some())?;
    let signals = monitor::hold_signals()?;
    setns(target, CloneFlags::CLONE_NEWUSER).doing("enter", "the container's user namespace")?;
    let view = if init::must_seal() {
        unshare(CloneFlags::CLONE_NEWNS).doing("make", "mount namespace")?;
        Some(init::sealed_view()?)
    } else {
        None
    };
    process::set_dumpable(false).doing("become", "non-dumpable")?;
    setns(target, join.namespaces).doing("enter", "the container's namespaces")?;
    let child = fork::spawn(0, |up| become_process(&up, target, &join.order, view.as_ref(), stdio));
    let child = child.doing("start", "the process")?;
    loop {
        match child.link.recv::<Report>().doing("follow", "the process")? {
            Some((Report::Terminal, fds)) => streams.terminal = fds.into_iter().next(),
            Some((Report::Failed(failure), _)) => return Err(failure),
            Some((Report::Started, _)) => {}
            None => break,
        }
    }
    let _ = link.send(&Report::Started, &[]);
    let mut relay = Relay::new(streams, client, None, Box::new(|_, _| {}))?;
    let payload = Payload {
        pid: child.pid,
        pidfd: child.pidfd.as_fd(),
        stop_signal: Signal::SIGTERM as i32,
        stop_timeout: Duration::from_secs(10),
        deadline: None,
    };
    let end = relay.run(&payload, &signals)?;
    relay.finish(end.code);
    Ok(())
}

/// The child: into the mount namespace, sealed if need be, then the process.
fn become_process(link: &Link, target: &OwnedFd, order: &Order, view: Option<&OwnedFd>, stdio: Stdio) -> i32 {
    let result = setns(target, CloneFlags::CLONE_NEWNS)
        .doing("enter", "the container's mount namespace")
        .and_then(|()| match view {
            Some(view) => init::resume_from(view, "exec", link, order, &stdio.streams),
            None => finish(link, order, &stdio),
        });
    report(link, result)
}

/// The child after it has executed itself anew; see `init::resumed`.
pub fn resumed(arguments: &[String]) -> ExitCode {
    let Some((link, order, streams)) = init::take_over(arguments) else { return ExitCode::from(125) };
    let result = init::read_order(order).and_then(|order: Order| finish(&link, &order, &Stdio { streams }));
    ExitCode::from(report(&link, result) as u8)
}

fn report(link: &Link, result: Result<Infallible, Failure>) -> i32 {
    let Err(failure) = result;
    let _ = link.send(&Report::Failed(failure), &[]);
    125
}

fn finish(link: &Link, order: &Order, stdio: &Stdio) -> Result<Infallible, Failure> {
    let plan = &order.plan;
    // A re-execution has made the process dumpable again.
    process::set_dumpable(false).doing("become", "non-dumpable")?;
    nix::unistd::setsid().doing("start", "session")?;
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open("/", directory, Mode::empty()).doing("open", "/")?;
    let user = users::resolve(root.as_fd(), &plan.process.user)?;
    let terminal = if plan.io.tty { Some(open_terminal(link, &root, user.uid)?) } else { None };
    // Unlike at the start of a container, a missing directory is not made.
    files::open_in(root.as_fd(), &plan.process.cwd, directory)
        .doing("enter working directory", &plan.process.cwd)?;
    files::enter_cwd(root.as_fd(), &plan.process.cwd, (user.uid, user.gid))?;
    nix::sys::stat::umask(Mode::from_bits_truncate(plan.process.umask));
    match &terminal {
        Some(slave) => init::streams([slave, slave, slave])?,
        None => init::streams([&stdio.streams[0], &stdio.streams[1], &stdio.streams[2]])?,
    }
    init::exec_payload(order, &user, plan.process.preserve_fds)
}

/// A terminal of the container's devpts, which must be one: `/dev` belongs to the container by now.
fn open_terminal(link: &Link, root: &OwnedFd, uid: u32) -> Result<OwnedFd, Failure> {
    let pts = files::open_in(root.as_fd(), Path::new("/dev/pts"), OFlag::O_PATH | OFlag::O_DIRECTORY);
    let pts = pts.doing("open", "/dev/pts")?;
    if fstatfs(&pts).doing("examine", "/dev/pts")?.filesystem_type() != DEVPTS_SUPER_MAGIC {
        return Err(Failure::other("open", "/dev/pts", "it is not a devpts file system"));
    }
    let (master, slave) = init::new_terminal(pts.as_fd(), uid)?;
    pty::make_controlling(slave.as_fd()).doing("take", "the terminal")?;
    link.send(&Report::Terminal, &[master.as_fd()]).doing("send", "the terminal")?;
    Ok(slave)
}
