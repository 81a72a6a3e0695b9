//! Stage 2: from a process in new namespaces to the payload.
//!
//! Theory of operation. The monitor clones this stage into all of the container's namespaces at once and writes
//! its id map; the stage waits until the monitor sends [`ToInit::Go`]. Then, in this order:
//! 1. Everything needed from the host is opened ([`host`]).
//! 2. Seal: if the user owns the file of this program and that owner exists inside, the program re-executes
//!    itself from a read-only mount, so that nothing inside can write to it through `/proc/self/exe` (attack
//!    case 26). The order is passed in a memfd.
//! 3. The process becomes the container's root, which it is not yet if the container has its own id map. It
//!    becomes non-dumpable: from here on nothing inside may trace this process or take its descriptors.
//! 4. The mount tree, host name, loopback and sysctls are set up, all of which need capabilities in the
//!    container's namespaces.
//! 5. The terminal is opened from the container's `/dev/ptmx`, by descriptor (case 18).
//! 6. It waits for [`ToInit::Proceed`], while the monitor records the run and starts its network.
//! 7. Pivot, limits, working directory, user, filter, capabilities; then exec. The link to the monitor is
//!    close-on-exec: end of file tells the monitor that the payload runs.
//!
//! Failures are facts sent over the link; the caller turns them into messages. See user_namespaces(7),
//! pid_namespaces(7), capabilities(7).

use crate::fork::{Doing, Failure, Link, Step};
use crate::runtime::namespaces::NamespaceOwner;
use crate::runtime::{caps, files, passwd};
use crate::spec::ContainerSpec;
use crate::sys::{self, pty};
use crate::{failpoint, netns};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::fchown;
use std::convert::Infallible;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

mod devices;
mod entries;
mod host;
mod messages;
mod mounts;
mod order;
mod owner;
mod payload;
mod seal;
mod secrets;
mod terminal;
mod tree;

pub(super) use host::{become_root, hide};
pub use messages::{FromInit, ToInit};
pub(super) use mounts::part_of;
pub use order::{FileOrder, Order, Stdio};
pub(super) use owner::hand_over as give_away;
pub(super) use payload::exec as exec_payload;
pub(super) use seal::{must_seal, read_order, resume_from, sealed_view, take_over};
pub(super) use terminal::open as new_terminal;

use host::Host;
use messages::report;

/// Stage 2, right after the clone. Returns only when it failed.
pub fn start(link: Link, order: Order, stdio: Stdio) -> i32 {
    report(&link, begin(&link, order, &stdio))
}

/// Stage 2 after it has executed itself again: `link order stdin stdout stderr` as descriptor numbers.
pub fn resumed(arguments: &[String]) -> ExitCode {
    let Some((link, order, fds)) = seal::take_over(arguments) else { return ExitCode::from(125) };
    let mut streams = fds;
    if streams.len() < 3 {
        return ExitCode::from(125);
    }
    let mut others = streams.split_off(3).into_iter();
    let Ok(streams) = <[OwnedFd; 3]>::try_from(streams) else { return ExitCode::from(125) };
    let result = seal::read_order(order).and_then(|order: Order| {
        let lost = || Failure::other("take over", "descriptors", "they are too few");
        let host = Host::take(&order, &mut others).ok_or_else(lost)?;
        finish(&link, order, &Stdio { streams, borrowed: others.collect() }, host)
    });
    ExitCode::from(report(&link, result) as u8)
}

fn begin(link: &Link, mut order: Order, stdio: &Stdio) -> Result<Infallible, Failure> {
    tell_birth(link)?;
    failpoint::reach("start.begin");
    if let ToInit::Go { own_cgroup, managed } = expect(link, "id map")? {
        (order.own_cgroup, order.managed) = (own_cgroup, managed);
    }
    if order.own_cgroup && order.owners.cgroup == NamespaceOwner::Own {
        // It is in a cgroup of its own by now, which becomes the root of what it sees.
        unshare(CloneFlags::CLONE_NEWCGROUP).doing(Step::MakeNamespaces, "cgroup namespace")?;
    }
    let host = Host::open(&order)?;
    if order.seal {
        let view = seal::sealed_view()?;
        // Root inside may be nobody who may execute a file of the user's: it is executed as the user.
        caps::keep_over_exec()?;
        let others = stdio.streams.iter().chain(host.descriptors()).chain(&stdio.borrowed);
        seal::resume_from(&view, "init", link, &order, &others.collect::<Vec<_>>())?;
    }
    finish(link, order, stdio, host)
}

/// Sends the monitor the namespaces that it needs to know.
fn tell_birth(link: &Link) -> Result<(), Failure> {
    let mounts = File::open("/proc/self/ns/mnt").doing("open", "own mount namespace")?;
    let net = File::open("/proc/self/ns/net").doing("open", "own network namespace")?;
    let user = File::open("/proc/self/ns/user").doing("open", "own user namespace")?;
    link.send(&FromInit::Born, &[mounts.as_fd(), net.as_fd(), user.as_fd()]).doing("tell", "the monitor")
}

/// Waits for the monitor's next word.
fn expect(link: &Link, what: &str) -> Result<ToInit, Failure> {
    match link.recv::<ToInit>().doing("wait for", what)? {
        Some((word, _)) => Ok(word),
        None => Err(Failure::other("wait for", what, "the monitor is gone")),
    }
}

fn finish(link: &Link, mut order: Order, stdio: &Stdio, host: Host) -> Result<Infallible, Failure> {
    become_root()?;
    hide()?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).doing("set", "parent death signal")?;
    nix::unistd::setsid().doing("start", "session")?;
    let mut built = tree::build(&order, host, &stdio.borrowed)?;
    for (path, file) in built.changing.drain(..) {
        link.send(&FromInit::File(path), &[file.as_fd()]).doing("send", "a generated file")?;
    }
    let plan = &order.plan;
    if order.owners.uts == NamespaceOwner::Own {
        nix::unistd::sethostname(&plan.hostname).doing("set host name", &plan.hostname)?;
        if let Some(name) = &plan.domainname {
            crate::sys::process::set_domain_name(name).doing("set domain name", name)?;
        }
    }
    if order.owners.net == NamespaceOwner::Own {
        netns::loopback_up().doing("bring up", "loopback")?;
    }
    let user = passwd::resolve(built.root.as_fd(), &plan.process.user)?;
    entries::add(&order, built.root.as_fd(), &mut built.scratch, &user)?;
    for (source, destination) in built.handed_over.drain(..) {
        owner::hand_over(source.as_fd(), &destination, user.uid, user.gid)?;
    }
    secrets::hand_over(std::mem::take(&mut built.secrets), &order.secrets, &user)?;
    let terminal = if plan.io.tty { Some(open_terminal(link, &built, user.uid)?) } else { None };
    if let ToInit::Proceed { watched } = expect(link, "record and network")? {
        order.watched = watched;
    }
    let (order, plan) = (&order, &order.plan);
    failpoint::reach("start.pivot");
    tree::pivot(built.root.as_fd())?;
    failpoint::reach("start.pivoted");
    limits(plan)?;
    give_pipes(plan, stdio, (user.uid, user.gid));
    if plan.process.cwd_must_exist {
        files::open_in(built.root.as_fd(), &plan.process.cwd, OFlag::O_PATH | OFlag::O_DIRECTORY)
            .doing(Step::FindDirectory, &plan.process.cwd)?;
    }
    files::enter_cwd(built.root.as_fd(), &plan.process.cwd, (user.uid, user.gid))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(plan.process.umask));
    match &terminal {
        Some(slave) => streams([slave, slave, slave])?,
        None => streams([&stdio.streams[0], &stdio.streams[1], &stdio.streams[2]])?,
    }
    if plan.process.idle {
        return payload::wait_for_end(order, &user);
    }
    if plan.process.init {
        return payload::reap_for(link, order, &user);
    }
    payload::exec(link, order, &user)
}

/// A terminal of the container's; the master goes to the monitor.
fn open_terminal(link: &Link, built: &tree::Built, uid: u32) -> Result<OwnedFd, Failure> {
    let (master, slave) = terminal::open(built.root.as_fd(), uid)?;
    if let Some(console) = &built.console {
        let tree = sys::mount::open_tree(slave.as_fd(), std::path::Path::new(""), sys::mount::Tree::Clone);
        sys::mount::move_mount(tree.doing("open", "the terminal")?.as_fd(), console.as_fd())
            .doing("mount on", "/dev/console")?;
    }
    pty::make_controlling(slave.as_fd()).doing("take", "the terminal")?;
    link.send(&FromInit::Terminal, &[master.as_fd()]).doing("send", "the terminal")?;
    Ok(slave)
}

/// Gives the pipes among the streams to `owner`, so that its process may open `/dev/stdout` again. What the
/// caller passes through stays the caller's, and a pipe that cannot be given away serves all the same.
pub(super) fn give_pipes(plan: &ContainerSpec, stdio: &Stdio, (uid, gid): (u32, u32)) {
    let is_pipe = |fd: &OwnedFd| {
        fstat(fd).is_ok_and(|found| SFlag::S_IFIFO.bits() == found.st_mode & SFlag::S_IFMT.bits())
    };
    for fd in stdio.streams.iter().filter(|fd| !plan.io.is_passed_through() && is_pipe(fd)) {
        let _ = fchown(fd, Some(uid.into()), Some(gid.into()));
    }
}

/// Puts the payload's streams where it expects them.
pub(super) fn streams(fds: [&OwnedFd; 3]) -> Result<(), Failure> {
    use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
    // Copies first: a stream may itself have a low number.
    let mut copies = Vec::new();
    for fd in fds {
        let copy = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(3)).doing("copy", "stream")?;
        copies.push(sys::fd::owned(copy));
    }
    dup2_stdin(&copies[0])
        .and_then(|()| dup2_stdout(&copies[1]))
        .and_then(|()| dup2_stderr(&copies[2]))
        .doing("set", "streams")
}

fn limits(plan: &ContainerSpec) -> Result<(), Failure> {
    each_limit(plan, setrlimit)
}

/// Sets the plan's resource limits for one more process. Where the caller of `exec` has lower ones that the kernel
/// lets nobody raise, those stay: it is never more than was asked for.
///
/// # Errors
/// Those of setrlimit(2).
pub(super) fn limits_within(plan: &ContainerSpec) -> Result<(), Failure> {
    each_limit(plan, |resource, soft, hard| match setrlimit(resource, soft, hard) {
        Err(Errno::EPERM) => {
            let (_, most) = getrlimit(resource)?;
            setrlimit(resource, soft.min(most), hard.min(most))
        }
        other => other,
    })
}

fn each_limit(
    plan: &ContainerSpec,
    set: impl Fn(Resource, u64, u64) -> nix::Result<()>,
) -> Result<(), Failure> {
    for limit in &plan.limits.ulimits {
        let resource = resource(&limit.name).ok_or_else(|| {
            Failure::other("set resource limit", limit.name.as_str(), "the kernel has none of this name")
        })?;
        set(resource, limit.soft, limit.hard).doing("set resource limit", limit.name.as_str())?;
    }
    Ok(())
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::RLIMIT_AS,
        "core" => Resource::RLIMIT_CORE,
        "cpu" => Resource::RLIMIT_CPU,
        "data" => Resource::RLIMIT_DATA,
        "fsize" => Resource::RLIMIT_FSIZE,
        "locks" => Resource::RLIMIT_LOCKS,
        "memlock" => Resource::RLIMIT_MEMLOCK,
        "msgqueue" => Resource::RLIMIT_MSGQUEUE,
        "nice" => Resource::RLIMIT_NICE,
        "nofile" => Resource::RLIMIT_NOFILE,
        "nproc" => Resource::RLIMIT_NPROC,
        "rss" => Resource::RLIMIT_RSS,
        "rtprio" => Resource::RLIMIT_RTPRIO,
        "rttime" => Resource::RLIMIT_RTTIME,
        "sigpending" => Resource::RLIMIT_SIGPENDING,
        "stack" => Resource::RLIMIT_STACK,
        _ => return None,
    })
}
