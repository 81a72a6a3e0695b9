//! The end of a run: records, ports, name, exit code, deletion; also creates the attach socket.

use super::context::MonitorContext;
use crate::container::ExitRecord;
use crate::error::Result;
use crate::fork::Failure;
use crate::image::Reference;
use crate::runtime::cgroup;
use crate::runtime::relay::End;
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, RunRecord};
use crate::storage::events::{Action, Event};
use crate::storage::trash;
use crate::sys::process;
use chrono::{DateTime, Utc};
use nix::libc;
use nix::mount::{MntFlags, umount2};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen as listen_on, socket,
};
use nix::sys::stat::{Mode, fstat, umask};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The attach socket. A container without one runs all the same, so nothing here is fatal.
pub(super) fn listen(dir: &ContainerDir) -> Option<OwnedFd> {
    let folder = dir.socket_dir().ok()?;
    let name = dir.socket_path().file_name()?.to_owned();
    // By descriptor: the path itself may be longer than a socket address.
    let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    // A former run's.
    let _ = std::fs::remove_file(&path);
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).ok()?;
    // The directory is its owner's alone; so is the socket, should someone open the directory up.
    let mask = umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let bound = bind(socket.as_raw_fd(), &UnixAddr::new(&path).ok()?);
    umask(mask);
    bound.ok()?;
    listen_on(&socket, Backlog::new(16).ok()?).ok()?;
    Some(socket)
}

/// Kills the processes in a mount namespace: those that a container left behind in another's process
/// ids, where its own end is not theirs.
pub(super) fn end_others(mounts: &OwnedFd) {
    /// Enough for processes that fork while they are looked for.
    const ROUNDS: u32 = 100;
    let Ok(mounts) = fstat(mounts) else { return };
    for _ in 0..ROUNDS {
        let mut found = false;
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
            let Ok(pidfd) = process::pidfd_open(Pid::from_raw(pid)) else { continue };
            let theirs = std::fs::metadata(format!("/proc/{pid}/ns/mnt"));
            if theirs.is_ok_and(|theirs| (theirs.dev(), theirs.ino()) == (mounts.st_dev, mounts.st_ino)) {
                // The number was still its own when its namespace was read, or the signal finds nobody.
                found |= process::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL).is_ok();
            }
        }
        if !found {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Records how the payload ended, and what is `left` of it; `again` says when the next run is to begin.
pub(super) fn ended(
    context: &MonitorContext<'_>,
    run: &RunRecord,
    end: End,
    left: Option<&str>,
    again: Option<DateTime<Utc>>,
) {
    record(context, run, end, (left.map(str::to_owned), false), again);
}

/// As [`ended`], for a run that could not be started where there is an error.
pub(super) fn not_begun(
    context: &MonitorContext<'_>,
    run: &RunRecord,
    end: End,
    error: Option<String>,
    again: Option<DateTime<Utc>>,
) {
    let never_ran =
        error.is_some() && context.dir.exit_record().ok().flatten().is_none_or(|exit| exit.never_ran);
    record(context, run, end, (error, never_ran), again);
}

fn record(
    context: &MonitorContext<'_>,
    run: &RunRecord,
    end: End,
    (error, never_ran): (Option<String>, bool),
    again: Option<DateTime<Utc>>,
) {
    let dir = context.dir;
    let record = ExitRecord {
        run: run.run,
        code: end.code,
        signal: end.signal,
        oom_killed: cgroup::oom_killed(context.plan),
        error,
        never_ran,
        started: run.started,
        finished: Utc::now(),
        restart_at: again,
    };
    if again.is_some() {
        // What a cgroup counts is its run's: the next one gets a new one. Before the record, since nobody
        // looks for it after that should this monitor be killed while it waits.
        cgroup::clear(context.plan);
    }
    // On a full disk the record is lost and the container shows as crashed, which is what it then is.
    let _ = match context.plan.lifecycle.auto_remove && again.is_none() {
        true => dir.write_last_exit(&record),
        false => dir.write_exit(&record),
    };
    crate::failpoint::reach("end.recorded");
    let _ = std::fs::remove_file(dir.socket_path());
}

/// Records a first start that failed, once its run was recorded; a `--rm` container is removed.
pub(super) fn failed(context: &MonitorContext<'_>, recorded: Option<&RunRecord>, failure: &Failure) {
    if let Some(run) = recorded {
        let end = End { code: crate::runtime::explain::exit_code(failure), signal: None };
        not_begun(context, run, end, Some(failure.describe()), None);
    }
    remove(context.store, context.dir, context.plan);
    clear_up(context.store, context.plan, &context.places.merged);
}

/// Takes a `--rm` container out of sight: its name and volumes are free from here on.
pub(super) fn remove(store: &Store, dir: &ContainerDir, plan: &ContainerSpec) {
    if !plan.lifecycle.auto_remove {
        return;
    }
    let Ok(lock) = dir.lock() else { return };
    // Another command may be removing it; then it is gone either way.
    let _ = dir.trash(&lock);
    crate::failpoint::reach("end.removed");
    let _ = crate::storage::volumes::remove_anonymous(store.volumes(), store.containers(), plan);
}

/// What nobody waits for: unmount, and delete what was taken out of sight.
pub(super) fn clear_up(store: &Store, plan: &ContainerSpec, merged: &Path) {
    let moved = store.data().join("trash").join(format!("container-{}", plan.id));
    let trashed = moved.join("merged");
    // The mount moves along when we or another process move the directory to the trash.
    for at in [merged, trashed.as_path()] {
        let _ = umount2(at, MntFlags::MNT_DETACH);
    }
    for container in merged.parent().into_iter().chain([moved.as_path()]) {
        super::sources::release(plan, container);
        super::layers::release(plan, container);
    }
    crate::failpoint::reach("end.unmounted");
    cgroup::clear(plan);
    // Its own item, and one left by a killed monitor.
    let own = if plan.lifecycle.auto_remove { 2 } else { 1 };
    let layers = match plan.lifecycle.remove_image {
        // One that is used otherwise stays, and so does one that a command has removed before us.
        true => forget_image(store, plan).unwrap_or_default(),
        false => 0,
    };
    let _ = trash::sweep(store, own + layers);
}

/// Removes the image of a container that is gone, or its name only if it has others; returns the number of layers
/// that are in the trash now.
fn forget_image(store: &Store, plan: &ContainerSpec) -> Result<usize> {
    let Some(image) = &plan.image else { return Ok(0) };
    let images = store.images();
    if let Ok(name) = image.reference.parse::<Reference>()
        && images.outlives(&image.id, &name)?
    {
        images.untag(&name)?;
        store.events().emit(Event::image_named(Action::Untag, image.id.as_str(), &image.reference));
        return Ok(0);
    }
    let lock = store.exclusive()?;
    Ok(images.remove(&lock, &image.id)?.layers.len())
}
