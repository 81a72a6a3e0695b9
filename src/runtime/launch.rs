//! The parent's side of a start: acquiring host resources, and forking the monitor.

use super::connection::Connection;
use super::explain::explain_exec;
pub use super::extras::Extras;
use super::monitor::{self, Launch, ToCaller};
use super::preflight::{check_preserved, filter};
use super::{cgroup, join, seccomp};
use crate::error::{Context, Error, Kind, Result, Warning, phrases};
use crate::fork::{self, Doing, Failure, Step};
use crate::netns::{self, Tool, driver, slirp};
use crate::spec::{ContainerSpec, NetworkMode, UserNetwork};
use crate::storage::containers::ContainerDir;
use crate::storage::{Store, fuse};
use crate::userns;
use nix::errno::Errno;
use std::cell::Cell;

/// What a start needs of the host, had before anything is changed.
#[derive(Debug)]
pub struct Prepared {
    listeners: Vec<netns::Listener>,
    tool: Option<Tool>,
    networks: Vec<UserNetwork>,
    filter: Option<seccomp::Filter>,
    joined: join::JoinedNamespaces,
    warnings: Vec<Warning>,
    /// What no record says.
    pub extras: Extras,
}

/// A container whose payload runs.
#[derive(Debug)]
pub struct Launched {
    /// The connection to it, when the caller is attached.
    pub connection: Option<Connection>,
    /// The parts of its plan that this machine does not support, as messages.
    pub warnings: Vec<Warning>,
}

/// Gets what a start needs of the host. Called before the container is made, so that what is refused
/// here leaves nothing behind.
///
/// # Errors
/// Ports that cannot be had, a missing helper program, a filter that does not compile, a descriptor to
/// be preserved that is not open.
pub fn prepare(store: &Store, plan: &ContainerSpec) -> Result<Prepared> {
    check_preserved(plan.process.preserve_fds)?;
    let mut warnings = Vec::new();
    if cgroup::out_of_reach(&plan.limits.resources) {
        warnings.push(cgroup::IGNORED.into());
    } else {
        cgroup::prepare(&plan.limits.resources, plan.limits.cgroup_parent.as_deref())?;
    }
    if plan.limits.manages_cgroups
        && let Err(e) = cgroup::place_to_manage(plan.limits.cgroup_parent.as_deref())
    {
        let why = e.in_one_line();
        warnings
            .push(format!("systemd in the container will find no cgroup that it can change: {why}").into());
    }
    let networks = match &plan.network.mode {
        NetworkMode::Bridge(all) => {
            all.iter().map(|wanted| store.networks().find(&wanted.network)).collect::<Result<Vec<_>>>()?
        }
        _ => Vec::new(),
    };
    let tool = match driver(&plan.network.mode) {
        Some(driver) => Some(driver.validate()?),
        None if networks.iter().any(|network| !network.internal) => Some(Tool::of(slirp::find()?)),
        None => None,
    };
    if plan.ids.is_shifted() {
        fuse::check()?;
    }
    let joined = join::JoinedNamespaces::open(store, plan)?;
    let filter = filter(store, plan)?;
    let listeners =
        if plan.network.mode.carries_ports() { netns::listen(&plan.network.ports)? } else { Vec::new() };
    Ok(Prepared { listeners, tool, networks, filter, joined, warnings, extras: Extras::default() })
}

/// Starts a container.
///
/// Attached, the caller is its first client and gets the connection; else it runs detached.
///
/// # Errors
/// The step of the start that failed; 126 and 127 when the command cannot be executed or is not found.
pub fn launch(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    prepared: Prepared,
    attach: bool,
) -> Result<Launched> {
    let Prepared { listeners, tool, networks, filter, joined, mut warnings, extras } = prepared;
    let (connection, client) = attach.then(Connection::pair).transpose()?.unzip();
    let connecting = tool.clone();
    let connection = Cell::new(connection);
    let child = fork::spawn(0, |link| {
        // With a copy of our end it would never see us go.
        drop(connection.take());
        monitor::main(
            link,
            Launch { store, dir, plan, listeners, tool, networks, filter, joined, client, extras },
        )
    })
    .doing(Step::Start, "the container's monitor")?;
    match child.link.recv::<ToCaller>().context(Kind::Runtime, || "hear from the container's monitor")? {
        Some((ToCaller::Started { one_id }, _)) => {
            if one_id {
                warnings.push(userns::ONE_ID.into());
            }
            log::debug!("container {} runs, monitor {}", plan.id.short(), child.pid);
            Ok(Launched { connection: connection.take(), warnings })
        }
        Some((ToCaller::Failed(failure), _)) => Err(explain(failure, plan, connecting.as_ref())),
        None => Err(Error::new(Kind::Runtime, "the container's monitor died while it started the container")
            .hint("See what the kernel said: dmesg | tail")),
    }
}

/// Puts a failed start into words.
fn explain(failure: Failure, plan: &ContainerSpec, tool: Option<&Tool>) -> Error {
    if (failure.step(), failure.errno()) == (Step::FindDirectory, Errno::ENOENT) {
        return phrases::no_working_directory(&failure.object, plan.id.as_str())
            .hint("Name a directory of the image; only its own working directory is made. The root always exists: coracle run -w /");
    }
    if let Some(tool) = tool {
        match driver(&plan.network.mode) {
            Some(driver) if failure.stage == driver.name() => return driver.explain(tool, &failure),
            None if failure.stage == slirp::NAME => return slirp::explain(&tool.program, &failure),
            _ => {}
        }
    }
    if failure.step() == Step::GetAddress {
        return explain_address(&failure);
    }
    if failure.step() == Step::ReachKeeper {
        return explain_keeper(failure);
    }
    explain_exec(failure)
}

/// Says what to do about a network whose keeper cannot be reached.
pub fn explain_keeper(failure: Failure) -> Error {
    let network = failure.object.clone();
    Error::from(failure).of_kind(Kind::Network).hint(format!(
        "Have its containers look for it: coracle network reload --all. If that does not help, restart those that are on it: coracle restart --filter network={network}"
    ))
}

/// Puts a failed change of a running container's networks into words.
pub fn explain_network(failure: Failure, plan: &ContainerSpec) -> Error {
    explain(failure, plan, slirp::find().ok().map(Tool::of).as_ref())
}

/// Why a network has no place for the container.
fn explain_address(failure: &Failure) -> Error {
    let network = &failure.object;
    let hint = match failure.errno() {
        Errno::EADDRINUSE => format!(
            "See who has it: coracle network inspect {network}. Without --ip a free address is chosen."
        ),
        Errno::ENOSPC => format!(
            "See who is on it: coracle network inspect {network}; a network with more addresses: coracle network create --subnet 10.200.0.0/16 NAME"
        ),
        _ => format!("See its subnets: coracle network inspect {network}"),
    };
    Error::new(Kind::Network, failure.detail.clone()).hint(hint)
}
