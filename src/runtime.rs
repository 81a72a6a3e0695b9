//! Running containers: from a plan and a directory to a process, and back to an exit record.
//!
//! This file is the parent's side: [`launch`] forks the monitor and tells how the start went; a
//! [`Running`] container is followed until it ends or the user detaches.

use crate::container::Name;
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{self, Failure};
use crate::netns::{self, slirp};
use crate::spec::HealthCheck;
use crate::spec::NetworkMode;
use crate::spec::health::OnFailure;
use crate::spec::{ContainerSpec, MountSource};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, LOST_EXIT_CODE, ProcessRef};
use crate::storage::fuse;
use crate::userns;
use client::{Attachment, Ended, Signals};
use monitor::{Launch, ToCaller};
use nix::errno::Errno;
use std::cell::Cell;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

pub mod birth;
pub mod caps;
pub mod cgroup;
pub mod client;
pub mod control;
pub mod copy;
pub mod dependents;
pub mod door;
pub mod exec;
pub mod export;
pub mod files;
pub mod frame;
pub mod health;
pub mod init;
#[cfg(test)]
mod inside;
pub mod join;
mod keys;
pub mod masks;
pub mod monitor;
mod notify;
pub mod output;
pub mod processes;
pub mod prune;
pub mod relay;
mod report;
pub mod root;
pub mod seccomp;
pub mod secrets;
pub mod select;
pub mod start;
pub mod stats;
pub mod users;
pub mod volumes;

/// A container whose payload runs.
#[derive(Debug)]
pub struct Running {
    attached: Option<Attached>,
    /// Nothing starts it again: its end is the last.
    once: bool,
}

#[derive(Debug)]
struct Attached {
    socket: OwnedFd,
    how: Attachment,
    signals: Signals,
}

/// What a start needs of the host, had before anything is changed.
#[derive(Debug)]
pub struct Prepared {
    listeners: Vec<netns::Listener>,
    slirp: Option<PathBuf>,
    filter: Option<seccomp::Filter>,
    joins: join::Joins,
}

/// Gets what a start needs of the host. Called before the container is made, so that what is refused
/// here leaves nothing behind.
///
/// # Errors
/// Ports that cannot be had, a missing helper program, a filter that does not compile, a descriptor to
/// be preserved that is not open.
pub fn prepare(store: &Store, plan: &ContainerSpec) -> Result<Prepared> {
    check_preserved(plan.process.preserve_fds)?;
    cgroup::prepare(&plan.limits.resources, plan.limits.cgroup_parent.as_deref())?;
    if plan.limits.manages_cgroups
        && let Err(e) = cgroup::place_to_manage(plan.limits.cgroup_parent.as_deref())
    {
        log::warn!("systemd in the container will find no cgroup that it may change: {e}");
    }
    let slirp = match plan.network.mode {
        NetworkMode::Slirp(_) => Some(slirp::find()?),
        _ => None,
    };
    if plan.ids.is_shifted() {
        fuse::check()?;
    }
    let joins = join::Joins::open(store, plan)?;
    let filter = filter(store, plan)?;
    let listeners =
        if plan.network.mode.carries_ports() { netns::listen(&plan.network.ports)? } else { Vec::new() };
    Ok(Prepared { listeners, slirp, filter, joins })
}

/// Makes a container's records, and what its plan names beside them: copies of secrets, volumes. The container
/// comes first, so that its volumes are in use from the moment they exist; one whose creator was killed in
/// between has them made when it starts.
///
/// # Errors
/// `Conflict` when the name is taken; when the file system refuses, or a secret has been removed meanwhile.
pub fn record(store: &Store, plan: &ContainerSpec, name: &Name) -> Result<ContainerDir> {
    let furnish = |dir: BorrowedFd<'_>| secrets::prepare(store, dir, plan);
    let dir = store.containers().create_with(&plan.id, name, plan, furnish)?;
    match volumes::prepare(store, plan) {
        Ok(()) => Ok(dir),
        Err(error) => {
            discard(store, &dir);
            Err(error)
        }
    }
}

/// Removes a container that never ran. What cannot be removed is left for `rm`.
pub fn discard(store: &Store, dir: &ContainerDir) {
    let removed = dir.lock().and_then(|lock| control::remove(store, dir, &lock, true));
    if let Err(error) = removed {
        log::info!("container {} is left: {error}", dir.id().short());
    }
}

/// Has a container that is to outlive its run written to the disk, with the volumes that were made for it alone;
/// those that have names are there already.
///
/// # Errors
/// When the disk reports one.
pub fn keep(store: &Store, dir: &ContainerDir, plan: &ContainerSpec) -> Result<()> {
    dir.keep()?;
    plan.mounts.iter().try_for_each(|mount| match &mount.source {
        MountSource::Volume { name, anonymous: true, .. } => store.volumes().keep(name),
        _ => Ok(()),
    })
}

/// Starts a container.
///
/// With an attachment the caller is its first client; without one it runs by itself.
///
/// # Errors
/// The step of the start that failed; 126 and 127 when the command cannot be executed or is not found.
pub fn launch(
    store: &Store,
    dir: &ContainerDir,
    plan: &ContainerSpec,
    prepared: Prepared,
    attach: Option<Attachment>,
) -> Result<Running> {
    let Prepared { listeners, slirp, filter, joins } = prepared;
    // What is typed is read by one of the two.
    let attach = attach.map(|how| Attachment { stdin: how.stdin && !plan.io.is_passed_through(), ..how });
    let signals = attach.as_ref().map(Signals::hold).transpose()?;
    let (socket, client) = match &attach {
        Some(_) => client::socket_pair().map(|(ours, theirs)| (Some(ours), Some(theirs)))?,
        None => (None, None),
    };
    let program = slirp.clone();
    let socket = Cell::new(socket);
    let child = fork::spawn(0, |link| {
        // With a copy of our end it would never see us go.
        drop(socket.take());
        monitor::main(link, Launch { store, dir, plan, listeners, slirp, filter, joins, client })
    })
    .context(Kind::Runtime, || "start the container's monitor")?;
    let attached = socket.take().zip(attach).zip(signals);
    let attached = attached.map(|((socket, how), signals)| Attached { socket, how, signals });
    match child.link.recv::<ToCaller>().context(Kind::Runtime, || "hear from the container's monitor")? {
        Some((ToCaller::Started { one_id }, _)) => {
            if one_id {
                log::warn!("{}", userns::ONE_ID);
            }
            log::debug!("container {} runs, monitor {}", plan.id.short(), child.pid);
            Ok(Running { attached, once: ends_once(plan) })
        }
        Some((ToCaller::Failed(failure), _)) => Err(explain(failure, program.as_deref())),
        None => Err(Error::new(Kind::Runtime, "the container's monitor died while it started the container")
            .hint("See what the kernel said: dmesg | tail")),
    }
}

/// The compiled system call filter of a plan.
fn filter(store: &Store, plan: &ContainerSpec) -> Result<Option<seccomp::Filter>> {
    let cache = seccomp::Cache { data: store.data(), runtime: store.runtime() };
    seccomp::prepare(&plan.security.seccomp, &plan.security.capabilities, cache)
}

/// `--preserve-fds=N` promises descriptors 3 to 3+N of the caller; others of ours must not take their place.
fn check_preserved(count: u32) -> Result<()> {
    let end = 3 + i64::from(count);
    match (3..end).find(|fd| !fork::inherited().iter().any(|open| i64::from(*open) == *fd)) {
        None => Ok(()),
        Some(fd) => Err(Error::new(Kind::Usage, format!("--preserve-fds: descriptor {fd} is not open"))
            .hint(format!(
                "Open it for the command, for example: coracle run --preserve-fds=1 ... {fd}<FILE"
            ))),
    }
}

impl Running {
    /// Relays until the container ends or the user detaches; gives the exit code, 0 after detaching. Where
    /// its restart policy starts it again that is, as with podman, the code of its last run, of which the
    /// caller then sees no more than this.
    ///
    /// # Errors
    /// When the monitor goes away without an exit code.
    pub fn wait(self, store: &Store, dir: &ContainerDir) -> Result<u8> {
        let once = self.once;
        // The directory of a --rm container is gone by the time that a command which was stopped looks.
        let note = self.attached.as_ref().and_then(|_| dir.exit_note().ok());
        let monitor = self.monitor(dir);
        match self.follow()? {
            Some(Ended::Exited(code)) if !once => control::last_code(store, dir, monitor, code),
            Some(Ended::Lost) => {
                if let Some(code) = note.and_then(|note| note.code(1)) {
                    return Ok(code);
                }
                Err(Error::new(Kind::Runtime, "the container's monitor died; its exit code is lost")
                    .hint("See how the container stands: coracle ps -a"))
            }
            ended => Ok(attached_code(ended)),
        }
    }

    /// As [`Running::wait`], for one who came later than the container and may have missed its exit code by
    /// a moment: that is in the records then. With `once` the end of this run is enough.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn wait_for(self, store: &Store, dir: &ContainerDir, once: bool) -> Result<u8> {
        let monitor = self.monitor(dir);
        match self.follow()? {
            Some(Ended::Exited(code)) if !once => control::last_code(store, dir, monitor, code),
            Some(Ended::Lost) if dir.status().is_live() => {
                let name = dir.called();
                log::warn!(
                    "this command took none of the output while others waited for more, and is shown no more of it; all of it is in: coracle logs {name}"
                );
                Ok(control::wait_ended(store, dir, None)?.unwrap_or(LOST_EXIT_CODE))
            }
            Some(Ended::Lost) => Ok(control::wait_ended(store, dir, None)?.unwrap_or(LOST_EXIT_CODE)),
            ended => Ok(attached_code(ended)),
        }
    }

    /// The monitor that somebody is attached to, where what comes after this run counts too.
    fn monitor(&self, dir: &ContainerDir) -> Option<ProcessRef> {
        let record = || dir.run_record().ok().flatten();
        if self.once || self.attached.is_none() { None } else { record().map(|run| run.monitor) }
    }

    /// Relays, if somebody is attached.
    fn follow(self) -> Result<Option<Ended>> {
        let Some(Attached { socket, how, signals }) = self.attached else { return Ok(None) };
        client::follow(&socket, &how, &signals).map(Some)
    }
}

/// Whether nothing starts a container again, for good: what a `--rm` container asked for cannot be changed.
fn ends_once(plan: &ContainerSpec) -> bool {
    let lifecycle = &plan.lifecycle;
    let restarts = |check: &HealthCheck| check.on_failure == OnFailure::Restart;
    lifecycle.auto_remove && !lifecycle.restart.is_set() && !plan.health.as_ref().is_some_and(restarts)
}

/// The exit code of a command whose attachment has ended.
fn attached_code(ended: Option<Ended>) -> u8 {
    match ended {
        Some(Ended::Exited(code)) => code,
        Some(Ended::Signalled(signal)) => 128 + signal as u8,
        Some(Ended::Detached) | None => 0,
        Some(Ended::Lost) => LOST_EXIT_CODE,
    }
}

/// The exit code for a failed start or exec: 127 not found, 126 not executable, else 125.
pub fn exit_code(failure: &Failure) -> u8 {
    match (failure.doing.as_str(), failure.errno()) {
        ("execute", Errno::ENOENT) => 127,
        ("execute", _) => 126,
        _ => 125,
    }
}

/// Puts a failed start into words.
fn explain(failure: Failure, slirp: Option<&std::path::Path>) -> Error {
    if failure.stage == slirp::NAME
        && let Some(program) = slirp
    {
        return slirp::explain(program, &failure);
    }
    explain_exec(failure)
}

/// Puts a failed stage into words; a command that could not be executed has its own.
pub(crate) fn explain_exec(failure: Failure) -> Error {
    match exit_code(&failure) {
        127 => {
            Error::new(Kind::CommandNotFound, format!("{:?} was not found in the container", failure.object))
                .hint("The command must be a program of the image, in its PATH or with its full path.")
        }
        126 => Error::new(
            Kind::NotExecutable,
            format!("{:?} cannot be executed in the container", failure.object),
        )
        .caused_by(failure),
        _ if ["find user", "find group"].contains(&failure.doing.as_str()) => Error::from(failure).hint(
            "Names come from /etc/passwd and /etc/group in the container; numbers need no name, such as -u 1000:1000",
        ),
        _ => failure.into(),
    }
}
