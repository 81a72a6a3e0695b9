//! One run: cloning stage 2 and following it until the payload runs.

use super::context::MonitorContext;
use super::live::Live;
use super::{finish, network, owners, setup};
use crate::fork::{self, Child, Doing, Failure};
use crate::netns::bridge::Membership;
use crate::runtime::door::Ground;
use crate::runtime::failure::storage_failure;
use crate::runtime::init::{FromInit, Stdio, ToInit};
use crate::runtime::join::JoinedNamespaces;
use crate::runtime::namespaces::{NamespaceOwner, NamespaceOwners};
use crate::runtime::notify::Notify;
use crate::runtime::relay::{Payload, Relay, Streams};
use crate::runtime::{birth, cgroup, report};
use crate::spec::{Attached, ContainerSpec, Resources};
use crate::storage::containers::{ContainerDir, EndPipe, PortRecord, ProcessRef, RunRecord, Stage};
use crate::storage::{fuse, record};
use crate::sys::process;
use crate::{failpoint, netns, userns};
use nix::libc;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// What one run is begun with.
#[derive(Debug)]
pub(super) struct RunInputs {
    /// The payload's streams.
    pub(super) stdio: Stdio,
    /// Our ends of them.
    pub(super) streams: Streams,
    /// What is shared with others.
    pub(super) joined: JoinedNamespaces,
    /// Sockets of the published ports.
    pub(super) listeners: Vec<netns::Listener>,
    /// The first attached client.
    pub(super) client: Option<OwnedFd>,
    /// How often the container was restarted before.
    pub(super) restarts: u32,
}

/// A run whose payload runs.
pub(super) struct Run {
    pub(super) child: Child,
    pub(super) record: RunRecord,
    pub(super) network: Option<network::Network>,
    pub(super) relay: Relay<'static>,
    /// The mount namespace. Held, so that the payload's end does not wait until the kernel has taken its
    /// mounts down; and its processes are found by it where it has no process ids of its own.
    pub(super) mounts: OwnedFd,
    /// Whose its process ids are.
    pub(super) pids: NamespaceOwner,
    /// Held until those who wait may look for the end.
    pub(super) end: Option<EndPipe>,
}

/// A run that did not come so far, and its record when there is one already.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Box<Failure>,
    pub(super) record: Option<Box<RunRecord>>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed { failure: Box::new(failure), record: None }
    }
}

/// Starts a run; returns when the payload runs.
pub(super) fn begin(context: &MonitorContext<'_>, inputs: RunInputs) -> Result<Run, Failed> {
    let RunInputs { mut stdio, mut streams, joined, listeners, client, restarts } = inputs;
    let attached = client.is_some();
    let MonitorContext { store, dir, plan, .. } = context;
    // Before the run is recorded: who waits for its end finds the pipe.
    let end = dir.hold_end();
    let notify = Notify::new(dir, plan);
    let memberships = network::join(context)?;
    let networks: Vec<&Attached> = memberships.iter().map(Membership::attached).collect();
    let mut order = setup::order(context, &networks, notify.as_ref())?;
    order.plan.process.env.extend(context.extras.env.iter().cloned());
    let preserved = context.preserved.take();
    order.plan.process.preserve_fds = preserved;
    if restarts == 0 {
        order.plan.process.env.extend(context.extras.first_env.iter().cloned());
    }
    order.secrets.extend(context.extras.files.iter().cloned());
    let sink = crate::runtime::output::sink(dir, plan)?;
    order.owners = joined.owners;
    (order.borrowed, stdio.borrowed) = joined.borrow_mounts()?;
    owners::lend_pipes(plan, &stdio);
    let limited = limits(dir, plan)?;
    let own = if limited.is_some() { None } else { cgroup::apart(&plan.id)? };
    // In another cgroup namespace, the kernel does not allow processes to be created outside it.
    let born_into = own.as_ref().filter(|_| joined.owners.cgroup != NamespaceOwner::Joined);
    let child = birth::bear(&joined, born_into.map(cgroup::Group::dir), order, stdio)?;
    failpoint::reach("start.born");
    // They are the payload's now.
    fork::close_preserved(preserved);
    let abandon = |failure: Failure, record: Option<RunRecord>| {
        let _ = process::pidfd_send_signal(child.pidfd.as_fd(), libc::SIGKILL);
        let _ = child.wait();
        Failed { failure: Box::new(failure), record: record.map(Box::new) }
    };
    let networks = networks.into_iter().cloned().collect();
    let ports = listeners.iter().map(|listener| PortRecord::from(&listener.bound)).collect();
    if let (Some(own), None) = (&own, born_into) {
        own.take(child.pid.as_raw()).map_err(|failure| abandon(failure, None))?;
    }
    let go = match limited {
        Some(resources) => own_cgroup(plan, &resources, &child, joined.owners.cgroup),
        None => Ok(ToInit::Go { own_cgroup: own.is_some(), managed: false }),
    };
    let let_go = go.and_then(|go| let_go(context, &child, (listeners, memberships), joined.owners, &go));
    let record =
        record_run(context, &child, (ports, networks), restarts).map_err(|failure| abandon(failure, None))?;
    failpoint::reach("start.recorded");
    let begun = let_go.and_then(|(mounts, network)| {
        let network = proceed(context, &child, network, &mut streams)?;
        // From now on clients may want to attach.
        let relay = Relay::new(streams, client, finish::listen(dir), sink)?.with(notify);
        context.alive.say(Stage::Runs).doing("tell that it runs:", plan.id.short())?;
        Ok((mounts, network, relay))
    });
    let (mounts, network, relay) = match begun {
        Ok(begun) => begun,
        Err(failure) => return Err(abandon(failure, Some(record))),
    };
    failpoint::reach("start.runs");
    report::started(store, dir, plan, attached);
    relay.tell_started();
    Ok(Run { child, record, network, relay, mounts, pids: joined.owners.pid, end })
}

/// Gives stage 2 what it needs from outside, starts its network, and lets it proceed to the payload.
fn let_go(
    context: &MonitorContext<'_>,
    child: &Child,
    (listeners, memberships): (Vec<netns::Listener>, Vec<Membership>),
    owners: NamespaceOwners,
    go: &ToInit,
) -> Result<(OwnedFd, Option<network::Network>), Failure> {
    let plan = context.plan;
    if owners.user == NamespaceOwner::Own {
        userns::write_child_map(child.pid, &plan.ids)?;
    }
    let lifecycle = &plan.lifecycle;
    for (path, pid) in [(&lifecycle.pidfile, child.pid), (&lifecycle.monitor_pidfile, nix::unistd::getpid())]
    {
        let Some(path) = path else { continue };
        let written = record::publish(path, format!("{pid}\n").as_bytes());
        written.map_err(|e| storage_failure("write", &path.to_string_lossy(), &e))?;
    }
    let [mounts, netns, userns] = born(child)?;
    let network = network::begin(context, memberships, netns, userns, listeners)?;
    tell(child, go)?;
    Ok((mounts, network))
}

/// Takes the first process's mount, network and user namespaces.
fn born(child: &Child) -> Result<[OwnedFd; 3], Failure> {
    let lost = || Failure::other("follow", "the container's first process", "it died when it started");
    match child.link.recv::<FromInit>().doing("follow", "the container's first process")? {
        Some((FromInit::Born, fds)) => fds.try_into().map_err(|_| lost()),
        Some((FromInit::Failed(failure), _)) => Err(failure),
        _ => Err(lost()),
    }
}

/// Writes the record of this run.
fn record_run(
    MonitorContext { dir, places, .. }: &MonitorContext<'_>,
    child: &Child,
    (ports, networks): (Vec<PortRecord>, Vec<Attached>),
    restarts: u32,
) -> Result<RunRecord, Failure> {
    let pid = child.pid.as_raw();
    let init = ProcessRef::of(pid)
        .ok_or_else(|| Failure::other("record", format!("process {pid}"), "it is gone"))?;
    let mut record = dir.next_run(init).map_err(|e| storage_failure("read", "run.json", &e))?;
    record.restarts = restarts;
    record.ports = ports;
    record.networks = networks;
    record.root = Some(Ground::of_mount(&places.merged)?);
    dir.write_run(&record).map_err(|e| storage_failure("write", "run.json", &e))?;
    Ok(record)
}

/// The limits, which may be empty if the container manages cgroups itself; `None` when neither
/// is asked for.
fn limits(dir: &ContainerDir, plan: &ContainerSpec) -> Result<Option<Resources>, Failure> {
    let limits = &plan.limits;
    // A --rm container is hardly ever changed before it starts.
    if limits.resources.is_empty() && !limits.manages_cgroups && plan.lifecycle.auto_remove {
        return Ok(None);
    }
    let changed = cgroup::effective(dir, plan);
    let resources =
        changed.map_err(|e| storage_failure("read the limits of", plan.id.short(), &e))?.limiting();
    // The user who started it was warned.
    let resources = if cgroup::out_of_reach(&resources) { Resources::default() } else { resources };
    Ok((!resources.is_empty() || limits.manages_cgroups).then_some(resources))
}

/// Puts stage 2 into a cgroup where it can be limited, and which it may manage; returns what stage 2 is to know
/// of it.
fn own_cgroup(
    plan: &ContainerSpec,
    resources: &Resources,
    child: &Child,
    namespace: NamespaceOwner,
) -> Result<ToInit, Failure> {
    let limits = &plan.limits;
    let parent = limits.cgroup_parent.as_deref();
    cgroup::prepare(resources, parent).map_err(|e| storage_failure("limit", plan.id.short(), &e))?;
    match cgroup::begin(&plan.id, resources, parent, Some(child.pid.as_raw())) {
        Ok(group) => {
            let limited = !resources.is_empty();
            let managed =
                limits.manages_cgroups && cgroup::may_manage(namespace, limited, cgroup::delegates());
            if managed && plan.ids.is_shifted() {
                group.hand_over(plan.ids.root())?;
            }
            Ok(ToInit::Go { own_cgroup: true, managed })
        }
        // The user who started it was warned.
        Err(_) if resources.is_empty() => {
            let own = cgroup::apart(&plan.id)?;
            own.as_ref().map_or(Ok(()), |own| own.take(child.pid.as_raw()))?;
            Ok(ToInit::Go { own_cgroup: own.is_some(), managed: false })
        }
        Err(failure) => Err(failure),
    }
}

fn tell(child: &Child, word: &ToInit) -> Result<(), Failure> {
    match child.link.send(word, &[]) {
        // It failed already; what it said comes next.
        Err(nix::errno::Errno::EPIPE) => Ok(()),
        other => other.doing("tell", "the container's first process"),
    }
}

/// Lets the payload start once its network is ready, and follows stage 2 until it runs.
fn proceed(
    context: &MonitorContext<'_>,
    child: &Child,
    mut network: Option<network::Network>,
    streams: &mut Streams,
) -> Result<Option<network::Network>, Failure> {
    let mut watched = false;
    if let Some(network) = &mut network {
        network.wait_ready()?;
        watched = network.accelerate(context)?;
    }
    tell(child, &ToInit::Proceed { watched })?;
    loop {
        match child.link.recv::<FromInit>().doing("follow", "the container's first process")? {
            None => return Ok(network),
            Some((FromInit::File(path), fds)) => {
                if let (Some(network), Some(fd)) = (&network, fds.into_iter().next()) {
                    network.keep(path, fd)?;
                }
            }
            Some((FromInit::Calls, fds)) => {
                if let (Some(network), Some(fd)) = (&network, fds.into_iter().next()) {
                    network.decide(fd)?;
                }
            }
            Some((FromInit::Failed(failure), _)) => return Err(failure),
            Some((FromInit::Terminal, fds)) => streams.terminal = fds.into_iter().next(),
            Some((FromInit::Born, _)) => {}
        }
    }
}

/// The exit code of a payload that ran longer than `--timeout` allows, as podman has it.
const LATE: u8 = 255;

/// What the relay needs to know of a run.
pub(super) fn payload<'a>(
    MonitorContext { plan, extras, .. }: &'a MonitorContext<'_>,
    child: &'a Child,
    network: Option<&'a Live<'a>>,
    pids: NamespaceOwner,
) -> Payload<'a> {
    let of_network = || network.map(Live::pids).unwrap_or_default();
    let helpers = || of_network().into_iter().chain(fuse::servers()).collect();
    Payload {
        pid: child.pid,
        pidfd: child.pidfd.as_fd(),
        stop_signal: plan.lifecycle.stop_signal,
        stop_timeout: Duration::from_secs(plan.lifecycle.stop_timeout.into()),
        deadline: plan.lifecycle.timeout.map(|s| Instant::now() + Duration::from_secs(s.into())),
        late: Some(LATE),
        group: false,
        helpers: (pids == NamespaceOwner::Host).then(helpers),
        lives_with: extras.lives_with.as_ref().map(AsFd::as_fd),
        network,
    }
}
