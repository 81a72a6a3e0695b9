//! Stage 1: the monitor, one per running container.
//!
//! Theory of operation. Forked from the command, it outlives it and holds everything that must live as
//! long as the container: the shared user namespace, the assembled root, the log, the attach socket, the
//! terminal, the network helpers. In order:
//! 1. Let go of the caller: own session, standard streams to `/dev/null`, inherited descriptors closed,
//!    so that `$(coracle run -d ...)` returns at once.
//! 2. Enter the shared user namespace and a mount namespace of its own, take `alive`.
//! 3. Assemble the root, prepare volumes and generated files.
//! 4. Clone stage 2 into the container's namespaces, write its id map, record the run, say go. The
//!    network is started while stage 2 mounts.
//! 5. End of file on stage 2's link: the payload runs; tell the caller. Relay until it ends.
//! 6. At the end, in this order: output drained, exit record written, ports closed, `--rm` directory in the
//!    trash, exit code delivered; then unmount and delete. So name, port and volume are free when the
//!    command returns, and the slow part comes after.
//!
//! Steps 1 to 3 are the monitor's life, 4 and 5 one run of it. Where the restart policy wants another run
//! ([`restart`]), the exit record says so and until when the monitor waits; ports and clients are let go
//! all the same, and step 4 comes again with fresh namespaces over the same root.
//!
//! A start that fails leaves an exit record with the reason, and nothing else.

use super::join::{Joins, Whose};
use super::relay::End;
use super::report;
use super::seccomp::Filter;
use super::secrets;
use crate::container::ExitRecord;
use crate::fork::{Doing, Failure, Link};
use crate::netns::{self, PortPublish};
use crate::plan::ContainerPlan;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, RunRecord};
use crate::storage::rootfs::Places;
use crate::fork::{self, Child, Doing, Failure, Link};
use crate::netns::{self, NetMode};
use crate::plan::{ContainerPlan, LogDriver, Share};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, PortRecord, ProcessRef, RunRecord, log};
use crate::storage::rootfs::{self, Places, RootPlan};
use crate::sys::process;
use crate::userns;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signalfd::SignalFd;
use nix::sys::stat::{Mode, umask};
use once::{Failed, Means, Run};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

mod finish;
mod network;
mod once;
mod restart;
pub(super) mod setup;

pub(super) use setup::{hold_signals, let_go, storage_failure};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod finish;
mod network;
mod sources;

/// What the monitor tells the command that started it.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToCaller {
    /// The payload runs.
    Started {
        /// One user id was all that could be mapped.
        one_id: bool,
    },
    /// It does not; the container's exit record says so too.
    Failed(Failure),
}

/// Everything a monitor is started with.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The store.
    pub store: &'a Store,
    /// The container.
    pub dir: &'a ContainerDir,
    /// Its plan.
    pub plan: &'a ContainerPlan,
    /// Sockets of its published ports.
    pub listeners: Vec<netns::Listener>,
    /// Where slirp4netns is, when the plan needs it.
    pub slirp: Option<PathBuf>,
    /// The compiled filter.
    pub filter: Option<Filter>,
    /// What it shares with others.
    pub joins: Joins,
    /// The first attached client.
    pub client: Option<OwnedFd>,
}

/// The monitor's life; gives its process's exit code.
pub fn main(link: Link, launch: Launch<'_>) -> i32 {
    match run(&link, launch) {
        Ok(()) => 0,
        Err(mut failure) => {
            if failure.stage.is_empty() {
                failure.stage = "monitor".to_owned();
            }
            // The caller may be gone.
            let _ = link.send(&ToCaller::Failed(failure), &[]);
            125
        }
    }
}

/// What stays the same from the first run to the last.
pub(super) struct Life<'a> {
    store: &'a Store,
    dir: &'a ContainerDir,
    plan: &'a ContainerPlan,
    slirp: Option<PathBuf>,
    filter: Option<Filter>,
    places: Places,
    signals: SignalFd,
    /// Ports as they were bound first: a free one stays the same over restarts.
    ports: Vec<PortPublish>,
    /// The caller's streams, where they are the payload's (log driver passthrough).
    kept: Option<super::init::Stdio>,
}

fn run(link: &Link, launch: Launch<'_>) -> Result<(), Failure> {
    let Launch { store, dir, plan, listeners, slirp, filter, joins, client } = launch;
    let (stdio, streams) = let_go(plan, true)?;
    // The caller's is for the caller's files: mount points and volumes are for every user inside.
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let member = userns::enter(store.runtime())?;
    unshare(CloneFlags::CLONE_NEWNS).doing("make", "mount namespace")?;
    // The kernel does this at the border of a user namespace; root, who crosses none here, would mount
    // the container's root in everybody's tree.
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>).doing("set propagation of", "/")?;
    let alive = dir.hold_alive().map_err(|e| Failure::other("start", plan.id.short(), e.to_string()))?;
    let places = setup::assemble(store, dir, plan, plan.lifecycle.auto_remove)?;
    let places = assemble(store, dir, plan)?;
    let order = order(store, dir, plan, filter, places.merged.clone())?;
    let sink = sink(dir, plan)?;
    let signals = hold_signals()?;
    if joins.shares.pid == Whose::Host {
        nix::sys::prctl::set_child_subreaper(true).doing("become", "subreaper")?;
    }
    let passthrough = plan.io.is_passed_through();
    let restarts = passthrough && plan.lifecycle.restart.is_set();
    let kept = if restarts { Some(setup::copy(&stdio)?) } else { None };
    let ports = listeners.iter().map(|listener| listener.bound.clone()).collect();
    let life = Life { store, dir, plan, slirp, filter, places, signals, ports, kept };

    let means = Means { stdio, streams, listeners, joins, client, restarts: 0 };
    let run = match once::begin(&life, means) {
        Ok(run) => run,
        Err(Failed { failure, record }) => {
            finish::failed(&life, record.as_ref(), &failure);
            return Err(failure);
        }
    };
    // The caller may be gone; the container goes on without it.
    let _ = link.send(&ToCaller::Started { one_id: member.has_one_id() }, &[]);
    follow(&life, run)?;
    drop(alive);
    member.leave();
    Ok(())
}

/// Follows a run, and those that come after it, to the last one's end.
fn follow(life: &Life<'_>, mut run: Run) -> Result<(), Failure> {
    let mut course = restart::Course::of(&run.record);
/// Leaves the caller behind; gives the payload's ends of its streams and ours. Without `keep`, nobody
/// will ever look at them.
pub(super) fn let_go(plan: &ContainerPlan, keep: bool) -> Result<(Stdio, Streams), Failure> {
    // Fails when this process leads its group already, which a fork never does.
    let _ = nix::unistd::setsid();
    let null =
        open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "/dev/null")?;
    let copy = |fd: &dyn AsFd| fd.as_fd().try_clone_to_owned().doing("copy", "stream");
    let io = if plan.io.log.driver == LogDriver::Passthrough && !plan.io.tty {
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let stdin = if plan.io.stdin { copy(&stdin)? } else { copy(&null)? };
        (Stdio { streams: [stdin, copy(&stdout)?, copy(&stderr)?] }, Streams::default())
    } else {
        pipes(plan, &null, keep)?
    };
    dup2_stdin(&null)
        .and_then(|()| dup2_stdout(&null))
        .and_then(|()| dup2_stderr(&null))
        .doing("let go of", "streams")?;
    fork::close_inherited(3 + plan.process.preserve_fds);
    nix::unistd::chdir("/").doing("enter", "/")?;
    Ok(io)
}

fn pipes(plan: &ContainerPlan, null: &OwnedFd, keep: bool) -> Result<(Stdio, Streams), Failure> {
    let copy = || null.try_clone().doing("copy", "/dev/null");
    if plan.io.tty || !keep {
        return Ok((Stdio { streams: [copy()?, copy()?, copy()?] }, Streams::default()));
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
    Ok((Stdio { streams: [stdin, stdout, stderr] }, streams))
}

fn assemble(store: &Store, dir: &ContainerDir, plan: &ContainerPlan) -> Result<Places, Failure> {
    if matches!(plan.root, RootPlan::Layers(_)) {
        // Files of the layers would belong to strangers.
        store.verify_id_map().map_err(|e| storage_failure("use the layers of", plan.id.short(), &e))?;
    }
    let lowers = match &plan.root {
        RootPlan::Layers(chain) => chain
            .iter()
            .map(|id| store.layers().path(id))
            .collect::<crate::error::Result<Vec<_>>>()
            .map_err(|e| storage_failure("find layers of", plan.id.short(), &e))?,
        _ => Vec::new(),
    };
    let places = Places {
        lowers,
        upper: dir.upper(),
        work: dir.work(),
        merged: dir.merged(),
        volatile: plan.lifecycle.auto_remove,
    };
    for (path, mode) in [(&places.upper, 0o755), (&places.work, 0o700), (&places.merged, 0o700)] {
        match fs::DirBuilder::new().mode(mode).create(path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => other.doing("make directory", path)?,
        }
    }
    rootfs::assemble(&plan.root, &places)?;
    Ok(places)
}

fn order(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerPlan,
    filter: Option<Filter>,
    merged: PathBuf,
) -> Result<Order, Failure> {
    let failed = |e: crate::error::Error| storage_failure("read secrets of", plan.id.short(), &e);
    let mut inside = plan.clone();
    // Nowhere but in the payload's environment: the order is written to no disk.
    inside.process.env.extend(secrets::variables(dir, plan).map_err(failed)?);
    Ok(Order {
        plan: inside,
        sources: sources::prepare(store, dir, plan, &merged)?,
        secrets: secrets::files(dir, plan).map_err(failed)?,
        merged,
        files: network::files(plan),
        filter: filter.map(|f| (f.program().to_vec(), f.flags())),
        wait_for_network: matches!(plan.network.mode, NetMode::Slirp(_)),
        // A first process that stays ours is executed anew in any case: what our caller's memory held, its
        // environment for one, has no place inside, and `exec` could not enter by it.
        seal: plan.process.init || init::must_seal(),
    })
}

/// Takes over the signals that the relay reads and blocks the others.
pub(super) fn hold_signals() -> Result<SignalFd, Failure> {
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

/// The namespaces that are the container's own, as flags of clone(2).
fn namespaces(plan: &ContainerPlan) -> u64 {
    let mut flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS;
    for (share, flag) in [
        (&plan.namespaces.pid, libc::CLONE_NEWPID),
        (&plan.namespaces.ipc, libc::CLONE_NEWIPC),
        (&plan.namespaces.uts, libc::CLONE_NEWUTS),
        (&plan.namespaces.cgroup, libc::CLONE_NEWCGROUP),
    ] {
        if *share == Share::Private {
            flags |= flag;
        }
    }
    if plan.network.mode != NetMode::Host {
        flags |= libc::CLONE_NEWNET;
    }
    flags as u64
}

/// Writes the container's id map and the record of this run.
fn record_run(
    dir: &ContainerDir,
    child: &Child,
    listeners: &[netns::Listener],
) -> Result<RunRecord, Failure> {
    userns::write_child_map(child.pid)?;
    let pid = child.pid.as_raw();
    let init = ProcessRef::of(pid)
        .ok_or_else(|| Failure::other("record", format!("process {pid}"), "it is gone"))?;
    let mut record = dir.next_run(init).map_err(|e| storage_failure("read", "run.json", &e))?;
    record.ports = listeners.iter().map(|l| port_record(&l.bound)).collect();
    dir.write_run(&record).map_err(|e| storage_failure("write", "run.json", &e))?;
    Ok(record)
}

/// Lets stage 2 go and brings up the network beside it; returns when the payload runs.
fn start(
    plan: &ContainerPlan,
    slirp: Option<&Path>,
    child: &Child,
    listeners: Vec<netns::Listener>,
    streams: &mut Streams,
) -> Result<Option<network::Network>, Failure> {
    if let Some(path) = &plan.lifecycle.pidfile {
        fs::write(path, format!("{}\n", child.pid)).doing("write", path)?;
    }
    let network = network::begin(plan, slirp, child, listeners)?;
    tell(child, &ToInit::Go)?;
    await_payload(child, network.as_ref(), streams)?;
    Ok(network)
}

fn port_record(port: &netns::PortPublish) -> PortRecord {
    PortRecord {
        host_ip: port.host_ip,
        host_port: port.host_port,
        container_port: port.container_port,
        protocol: port.protocol.to_string(),
    }
}

fn tell(child: &Child, word: &ToInit) -> Result<(), Failure> {
    match child.link.send(word, &[]) {
        // It failed already; what it said comes next.
        Err(nix::errno::Errno::EPIPE) => Ok(()),
        other => other.doing("tell", "the container's first process"),
    }
}

/// Follows stage 2 until the payload runs.
fn await_payload(
    child: &Child,
    network: Option<&network::Network>,
    streams: &mut Streams,
) -> Result<(), Failure> {
    loop {
        let Run { child, record, network, mut relay, mounts, pids } = run;
        let end = relay.run(&once::payload(life.plan, &child, network.as_ref(), pids), &life.signals)?;
        if let Some(mounts) = &mounts {
            finish::end_others(mounts);
        }
        let again = restart::after(life, &record, end, relay.told_to_stop(), &mut course);
        finish::ended(life.dir, &record, end, None, again);
        report::died(life.store, life.dir, life.plan, end);
        network::close(network);
        relay.close_listener();
        if again.is_none() {
            finish::remove(life.store, life.dir, life.plan);
        }
        relay.finish(end.code, again.is_some());
        let next = match again {
            Some(at) => restart::next(life, record, end, at, &mut course),
            None => None,
        };
        let Some(next) = next else {
            finish::clear_up(life.store, life.plan, &life.places.merged);
            return Ok(());
        };
        run = next;
    }
}
