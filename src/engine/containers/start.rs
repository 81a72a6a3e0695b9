//! Starting existing containers, and attaching to running ones.
//!
//! Theory of operation. A stored plan is started like a new one: first the host resources are acquired
//! ([`crate::runtime::launch::prepare`]), then a monitor is launched. If several commands start the same
//! container, one of them gets the `alive` lock; the others find the container running, which is what they
//! wanted. A client that connects to the monitor's socket is then treated like the one that started the
//! container.

use super::pause::refuse_paused;
use super::recover::recover;
use super::running::{Running, ends_once};
use super::signal::nudge;
use super::wait::await_no_restart;
use crate::container::{ContainerId, Status};
use crate::engine::pods;
use crate::error::{Context, Error, Kind, Result, Warning, phrases};
use crate::failpoint;
use crate::fork::{Failure, Step};
use crate::host::Sockets;
use crate::runtime::connection::Connection;
use crate::runtime::launch::{Launched, Prepared, launch, prepare};
use crate::spec::ContainerSpec;
use crate::spec::network::PortPublish;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Attempts to start a container that others keep changing.
const ATTEMPTS: u32 = 10;

/// How long others may delay the start, after each has been waited for once.
const PATIENCE: Duration = Duration::from_secs(15);

/// Time for a monitor to accept a client, in seconds.
const ANSWER: i64 = 10;

/// The plan for starting a container: as it was created, with its current name. Descriptors passed by its
/// creator no longer exist.
///
/// # Errors
/// When a record cannot be read.
pub fn stored_plan(dir: &ContainerDir) -> Result<ContainerSpec> {
    let mut plan = dir.spec()?;
    if let Some(changed) = dir.changed()? {
        changed.put_into(&mut plan);
    }
    plan.process.preserve_fds = 0;
    Ok(plan)
}

/// What an attached caller does right before the payload runs or the connection is made, such as holding signals:
/// until then, whatever the start has to wait for, its signals are its own.
pub type GetReady<'a> = &'a mut dyn FnMut() -> Result<()>;

/// The first start of a container that was just made, after those that it requires.
///
/// # Errors
/// Those of [`start`] for what it requires, then those of [`launch`].
pub fn first(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    prepared: Prepared,
    mut attach: Option<GetReady<'_>>,
) -> Result<Running> {
    let warnings = start_required(store, dir, plan, &mut Vec::new())?;
    let launched = ready_to_launch(store, dir, plan, prepared, &mut attach);
    dir.release_claim();
    launched.map(|launched| Running::first(dir, launched, ends_once(plan)).with(warnings))
}

/// Starts a container, after those that it requires. One that is already running is left alone, which
/// [`Running::already`] says. With `attach` the caller gets a connection to it, in either case.
///
/// # Errors
/// `Conflict` for a paused container; otherwise those of [`prepare`] and [`launch`].
pub fn start(store: &Store, dir: &ContainerDir, attach: Option<GetReady<'_>>) -> Result<Running> {
    start_after(store, dir, attach, &mut Vec::new())
}

fn start_after(
    store: &Store,
    dir: &ContainerDir,
    mut attached: Option<GetReady<'_>>,
    above: &mut Vec<ContainerId>,
) -> Result<Running> {
    let id = dir.id().short();
    let begun = Instant::now();
    for _ in 0..ATTEMPTS {
        match dir.status() {
            Status::Running => {
                dir.take_back_stop();
                return attached.map_or_else(|| Ok(Running::found(None)), |get_ready| attach(dir, get_ready));
            }
            Status::Paused => {
                refuse_paused(dir)?;
                continue;
            }
            Status::Crashed => {
                recover(store, dir)?;
                if !dir.in_place() {
                    // It was a --rm container.
                    return Err(removed(dir));
                }
                continue;
            }
            Status::Starting => {
                dir.await_start();
                continue;
            }
            Status::Restarting => {
                // Now, not after the delay.
                end_pause(dir);
                continue;
            }
            Status::Created | Status::Exited => {}
        }
        // From here on nobody takes it for unused.
        dir.claim();
        if !dir.in_place() {
            return Err(removed(dir));
        }
        failpoint::reach("start.claimed");
        let mut plan = stored_plan(dir)?;
        // They are for the container that was asked for.
        let sockets = Sockets::handed_over().filter(|_| above.is_empty());
        plan.process.preserve_fds = sockets.as_ref().map_or(0, |sockets| sockets.count);
        let warnings = start_required(store, dir, &plan, above)?;
        let ready = match with_former_ports(dir, &plan) {
            // One of them is in use by now.
            Some(former) => prepare(store, &former).or_else(|_| prepare(store, &plan)),
            None => prepare(store, &plan),
        };
        let started = ready.and_then(|mut ready| {
            ready.extras.first_env = sockets.map(|sockets| sockets.variables()).unwrap_or_default();
            ready_to_launch(store, dir, &plan, ready, &mut attached)
        });
        dir.release_claim();
        match started {
            // Another command was faster.
            Err(_) if matches!(dir.status(), Status::Starting | Status::Running) => {}
            // And another command has stopped it since.
            Err(error) if was_running(&error, dir) && dir.in_place() && begun.elapsed() < PATIENCE => {}
            other => {
                let running = |launched| Running::started(dir, launched, ends_once(&plan));
                return other.map(|launched| running(launched).with(warnings));
            }
        }
    }
    Err(Error::new(
        Kind::Runtime,
        format!("container {id} keeps being started and stopped by other commands"),
    ))
}

/// Ends the delay before a restart: the container has then exited. The policy and the stop note stay.
fn end_pause(container: &ContainerDir) {
    nudge(container);
    await_no_restart(container);
}

fn removed(dir: &ContainerDir) -> Error {
    Error::new(Kind::NotFound, format!("container {} was removed in the meantime", dir.id().short()))
}

/// The plan with the host ports of the last run where it leaves the choice to us: so that the container can
/// be reached under the same ones, as with podman. `None` when there is nothing to keep.
fn with_former_ports(dir: &ContainerDir, plan: &ContainerSpec) -> Option<ContainerSpec> {
    let is_free = |port: &&mut PortPublish| port.host_port == 0 || port.host_port_end.is_some();
    let mut plan = plan.clone();
    let last = dir.run_record().ok()??.ports;
    let mut kept = false;
    for (port, former) in plan.network.ports.iter_mut().zip(&last).filter(|(port, _)| is_free(port)) {
        if port.container_port == former.container_port && former.host_port != 0 {
            (port.host_port, port.host_port_end, kept) = (former.host_port, None, true);
        }
    }
    kept.then_some(plan)
}

/// Whether a start failed because another monitor had the container.
fn was_running(error: &Error, dir: &ContainerDir) -> bool {
    Failure::below(error).is_some_and(|f| f.step() == Step::TakeContainer && f.object == dir.id().short())
}

/// Launches once an attached caller is ready.
fn ready_to_launch(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    prepared: Prepared,
    attached: &mut Option<GetReady<'_>>,
) -> Result<Launched> {
    if let Some(get_ready) = attached {
        get_ready()?;
    }
    launch(store, dir, plan, prepared, attached.is_some())
}

/// Starts what a container requires and is not running, the infra container of its pod first; returns the warnings of
/// that.
fn start_required(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    above: &mut Vec<ContainerId>,
) -> Result<Vec<Warning>> {
    let mut warnings = Vec::new();
    above.push(dir.id().clone());
    let infra = match &plan.pod {
        Some(pod) if !pod.infra => pods::infra_of(store, &pod.id)?.map(|dir| dir.id().clone()),
        _ => None,
    };
    for required in infra.iter().chain(&plan.lifecycle.requires) {
        // A circle cannot be written down by any verb; records can be.
        if above.contains(required) {
            continue;
        }
        let doing = || format!("start what container {} requires", dir.id().short());
        let other = store.containers().open(required).context(Kind::Conflict, doing)?;
        if !other.status().is_live() {
            let running = start_after(store, &other, None, above).context(Kind::Runtime, doing)?;
            warnings.extend(running.warnings);
        }
    }
    above.pop();
    Ok(warnings)
}

/// Attaches to a running container.
///
/// # Errors
/// `Conflict` when it is not running.
pub fn attach(dir: &ContainerDir, get_ready: GetReady<'_>) -> Result<Running> {
    dir.await_start();
    let status = dir.status();
    if !status.is_live() {
        let name = dir.called();
        let word = if status == Status::Crashed { "exited" } else { status.as_str() };
        return Err(phrases::not_running_to_attach(&name, word)
            .hint(format!("Start and attach at once: coracle start --attach {name}")));
    }
    get_ready()?;
    let socket = call(dir)?;
    dir.emit(Action::Attach);
    Ok(Running::found(Some(Connection::new(socket))))
}

/// Connects to the monitor.
///
/// # Errors
/// `Conflict` when nobody takes the call.
pub(in crate::engine) fn call(dir: &ContainerDir) -> Result<OwnedFd> {
    let doing = || format!("attach to container {}", dir.id().short());
    let folder = dir.socket_dir()?;
    let name = dir.socket_path().file_name().map(ToOwned::to_owned).unwrap_or_default();
    // By descriptor: the path itself may be longer than a socket address.
    let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    let address = UnixAddr::new(&path).context(Kind::Runtime, doing)?;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
        .context(Kind::Runtime, doing)?;
    // The kernel waits for a place in the queue as long as a message may wait.
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::seconds(ANSWER)).context(Kind::Runtime, doing)?;
    match connect(fd.as_raw_fd(), &address) {
        Ok(()) => Ok(fd),
        Err(Errno::EAGAIN) => Err(Error::new(Kind::Conflict, doing()).caused_by(Error::new(
            Kind::Conflict,
            "its monitor takes no more clients: there are too many, or it is stopped",
        ))),
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => {
            Err(Error::new(Kind::Conflict, doing()).caused_by(Error::new(
                Kind::Conflict,
                "nobody answers: it is just starting or ending, or has no attach socket",
            )))
        }
        Err(e) => Err(e).context(Kind::Runtime, doing),
    }
}
