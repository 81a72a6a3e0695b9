//! Stage 1: the monitor, one per running container.
//!
//! Theory of operation. Forked from the command, it outlives it and holds everything that must live as long as
//! the container: the shared user namespace, the assembled root, the log, the attach socket, the terminal, the
//! network helpers. In order:
//! 1. Detach from the caller: new session, standard streams to `/dev/null`, and all descriptors closed except
//!    those listed in [`Launch`], so that `$(coracle run -d ...)` returns at once.
//! 2. Enter the shared user namespace and a new mount namespace, and take `alive`.
//! 3. Assemble the root, prepare volumes and generated files.
//! 4. Clone stage 2 into the container's namespaces, write its id map, start setting up the network, send Go.
//!    While stage 2 mounts, record the run; no payload starts unrecorded.
//! 5. Send Proceed. End of file on stage 2's link means that the payload runs. Indicate that in `alive`, which
//!    allows others to enter, and tell the caller. Relay until the payload exits.
//! 6. At the end, in this order: drain the output, write the exit record, close the ports, move a `--rm`
//!    directory to the trash, deliver the exit code; then unmount and delete. So the name, ports and volumes
//!    are free when the command returns, and the slow part comes later. A container that stays can be restarted
//!    as soon as its exit record can be read, so its ports are closed before that.
//!
//! Steps 1 to 3 happen once per monitor, 4 to 6 for each run. If the restart policy calls for another run
//! ([`restart`]), the exit record says so and until when the monitor waits; ports and clients are released all
//! the same, and step 4 is repeated with new namespaces over the same root.
//!
//! A failed start leaves an exit record with the reason, and nothing else.

use super::extras::Extras;
use super::failure::storage_failure;
use super::health::Checks;
use super::join::JoinedNamespaces;
use super::namespaces::NamespaceOwner;
use super::relay::HealthChecks;
use super::seccomp::Filter;
use super::{cgroup, report};
use crate::fork::{Doing, Failure, Link, Step};
use crate::spec::{ContainerSpec, UserNetwork};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Stage};
use crate::storage::events::Action;
use crate::storage::mounted::Mounts;
use crate::{netns, userns};
use context::MonitorContext;
use layers::Layers;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use run::{Failed, Run, RunInputs};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

mod context;
mod finish;
mod generated;
pub(super) mod layers;
mod live;
mod network;
pub use live::{Change, Live};
mod owners;
mod pod;
mod restart;
mod run;
pub(super) mod setup;
pub(super) mod sources;
mod swap;

pub(super) use owners::lend_pipes;
pub(super) use setup::{hold_signals, let_go};

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
    pub plan: &'a ContainerSpec,
    /// Sockets of its published ports.
    pub listeners: Vec<netns::Listener>,
    /// The program that connects it, when the plan needs one.
    pub tool: Option<netns::Tool>,
    /// The networks that the plan names, in its order.
    pub networks: Vec<UserNetwork>,
    /// The compiled filter.
    pub filter: Option<Filter>,
    /// What it shares with others.
    pub joined: JoinedNamespaces,
    /// The first attached client.
    pub client: Option<OwnedFd>,
    /// What no record says.
    pub extras: Extras,
}

/// The monitor's life; returns its process's exit code.
pub fn main(link: Link, launch: Launch<'_>) -> i32 {
    match supervise(&link, launch) {
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

fn supervise(link: &Link, launch: Launch<'_>) -> Result<(), Failure> {
    let Launch { store, dir, plan, listeners, tool, networks, filter, joined, client, extras } = launch;
    let sockets = listeners.iter().flat_map(netns::Listener::descriptors);
    let kept = sockets.chain(joined.descriptors()).chain(client.as_ref().map(AsFd::as_fd));
    let kept = kept.chain(extras.lives_with.as_ref().map(AsFd::as_fd));
    let kept: Vec<BorrowedFd<'_>> = kept.chain([link.as_fd(), dir.fd()]).collect();
    let (stdio, streams) = let_go(plan, true, &kept)?;
    // The caller's is for the caller's files: mount points and volumes are for every user inside.
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let member = userns::enter(store.runtime())?;
    unshare(CloneFlags::CLONE_NEWNS).doing(Step::MakeNamespaces, "mount namespace")?;
    // The kernel does this at the border of a user namespace; root, who crosses none here, would mount
    // the container's root in everybody's tree.
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>).doing("set propagation of", "/")?;
    // What is shown in the caller's namespace would last as long as this process.
    Mounts::of(store.data()).let_go();
    if matches!(joined.owners.net, NamespaceOwner::Host | NamespaceOwner::Foreign) {
        // It will see the host's sysfs.
        cgroup::lock_view()?;
    }
    let alive = dir.hold_to_start().map_err(|e| storage_failure(Step::TakeContainer, plan.id.short(), &e))?;
    let layers = Layers::open(store, dir, plan)?;
    let places = setup::assemble(&layers, dir, plan, extras.changes.as_deref(), plan.lifecycle.auto_remove)?;
    let signals = hold_signals()?;
    if joined.owners.pid == NamespaceOwner::Host {
        nix::sys::prctl::set_child_subreaper(true).doing("become", "subreaper")?;
    }
    let passthrough = plan.io.is_passed_through();
    let restarts = passthrough && plan.lifecycle.restart.is_set();
    let kept = if restarts { Some(setup::copy(&stdio)?) } else { None };
    let ports = listeners.iter().map(|listener| listener.bound.clone()).collect();
    let context = MonitorContext {
        store,
        dir,
        plan,
        tool,
        networks,
        filter,
        layers,
        places,
        signals,
        ports,
        kept,
        alive,
        preserved: Cell::new(plan.process.preserve_fds),
        extras,
    };

    let inputs = RunInputs { stdio, streams, listeners, joined, client, restarts: 0 };
    let run = match run::begin(&context, inputs) {
        Ok(run) => run,
        Err(Failed { failure, record }) => {
            finish::failed(&context, record.as_deref(), &failure);
            return Err(*failure);
        }
    };
    // The caller may be gone; the container runs on without it.
    let _ = link.send(&ToCaller::Started { one_id: member.has_one_id() }, &[]);
    follow(&context, run)?;
    drop(context);
    member.leave();
    Ok(())
}

/// Follows a run, and those that come after it, to the last one's end.
fn follow(context: &MonitorContext<'_>, mut run: Run) -> Result<(), Failure> {
    let mut course = restart::Course::of(&run.record);
    loop {
        let Run { child, record, mut network, mut relay, mounts, pids, end: pipe } = run;
        let checks = Checks::new(context.store, context.dir, context.plan, &record);
        let live = network.as_ref().map(|network| Live::new(context, network, record.run));
        let payload = run::payload(context, &child, live.as_ref(), pids);
        let checks = checks.map(|checks| Box::new(checks) as Box<dyn HealthChecks>);
        let end = relay.run(&payload, &context.signals, checks)?;
        // No helper works for a container that is gone.
        drop(live);
        // Without process ids of its own, what it leaves behind is found by the mounts it sees.
        if pids == NamespaceOwner::Joined {
            finish::end_others(&mounts);
        }
        let again = match relay.restart_wanted() {
            true => restart::at_once(context, relay.told_to_stop(), &mut course),
            false => restart::after(context, &record, end, relay.told_to_stop(), &mut course),
        };
        if !context.plan.lifecycle.auto_remove {
            // A command that waits for the record, such as `restart`, may want the ports at once.
            network::close(network.take());
        }
        finish::ended(context, &record, end, relay.left(), again);
        // Not earlier: until its exit is recorded, a container that is not running would look like one that
        // is starting.
        let _ = context.alive.say(Stage::Over);
        report::died(context.store, context.dir, context.plan, end);
        network::close(network);
        relay.close_listener();
        if again.is_none() {
            finish::remove(context.store, context.dir, context.plan);
            pod::ended(context);
        }
        // Commands that wait for the exit now see all of it.
        drop(pipe);
        relay.hand_over(end.code);
        drop(mounts);
        let next = match again {
            Some(at) => restart::next(context, record, end, at, &mut course),
            None => None,
        };
        let Some(next) = next else {
            finish::clear_up(context.store, context.plan, &context.places.merged);
            if !context.plan.lifecycle.auto_remove && context.dir.in_place() {
                crate::failpoint::reach("end.cleared");
                context.dir.emit(Action::Cleanup);
            }
            return Ok(());
        };
        run = next;
    }
}
