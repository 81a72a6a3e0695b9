//! Limits: where the cgroup of a limited container is, and what is written into it.
//!
//! Theory of operation. Controllers can only be enabled for the children of a cgroup that contains no processes
//! itself. So the cgroup of a limited container is created as high as this account may: in a systemd session
//! below the user manager, for root at the top. The command that starts the container finds that place before
//! anything changes, enables the controllers there, and refuses what the host does not support. A command in a
//! login session may not move processes out of it, so it first has itself moved into a scope of the user
//! manager, as podman does. The monitor then creates the cgroup and puts the first process into it before that
//! does anything.

use super::delegation::{could_lift, delegates};
use super::group::{Group, MOUNTS, hierarchy, name, of_process};
use super::scope::ask_for_scope;
use crate::container::ContainerId;
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{Doing, Failure};
use crate::plan::resources::Setting;
use crate::spec::{ContainerSpec, Resources};
use crate::storage::containers::{ContainerDir, RunRecord};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{major, minor, stat};
use nix::unistd::{AccessFlags, faccessat};

/// The limits of a container, with those that were changed since it was made.
///
/// # Errors
/// When its settings cannot be read.
pub fn effective(dir: &ContainerDir, plan: &ContainerSpec) -> Result<Resources> {
    let mut resources = plan.limits.resources.clone();
    if let Some(changed) = dir.changed_limits()? {
        resources.merge(&changed);
    }
    Ok(resources)
}

/// Changes the limits of a container, at once where it runs, and for every later start.
///
/// # Errors
/// [`Kind::Host`] when this host cannot keep them; nothing is changed then.
pub fn update(dir: &ContainerDir, plan: &ContainerSpec, newer: &Resources) -> Result<()> {
    newer.check()?;
    let mut all = effective(dir, plan)?;
    let limited = !all.clone().limiting().is_empty();
    all.merge(newer);
    all.check()?;
    let limits = !newer.clone().limiting().is_empty();
    if limits && dir.status().is_live() && could_lift(plan.limits.manages_cgroups, limited, delegates()) {
        let name = dir.called();
        let error = Error::new(
            Kind::Conflict,
            format!("container {name} manages its cgroup and could lift the limits again while it runs"),
        );
        return Err(error.hint(format!(
            "Stop it, limit it, and start it again: coracle stop {name}; or mount cgroup2 with nsdelegate"
        )));
    }
    prepare(&all.clone().limiting(), plan.limits.cgroup_parent.as_deref())?;
    let _lock = dir.lock()?;
    if dir.status().is_live()
        && let Some(run) = dir.run_record()?
    {
        change(dir, plan, &run, newer, &all)?;
    }
    let mut settings = dir.settings()?;
    settings.limits = Some(all);
    dir.set_settings(&settings)
}

fn change(
    dir: &ContainerDir,
    plan: &ContainerSpec,
    run: &RunRecord,
    newer: &Resources,
    all: &Resources,
) -> Result<()> {
    if let Some(group) = Group::find(dir, run)
        && all.controllers().iter().all(|controller| group.has(controller))
    {
        return Ok(write_all(&group, &newer.settings())?);
    }
    if all.clone().limiting().is_empty() {
        return Ok(());
    }
    let group = begin(dir.id(), all, plan.limits.cgroup_parent.as_deref(), None)?;
    group.adopt(dir)
}

/// Makes sure that a cgroup can be made for a container whose first process manages cgroups itself.
///
/// # Errors
/// [`Kind::Host`] with the reason why not.
pub fn place_to_manage(parent: Option<&str>) -> Result<()> {
    usable_place(parent, "systemd needs").map(drop)
}

/// A cgroup of version 2 below which this process may make others; `who` completes the refusal.
fn usable_place(parent: Option<&str>, who: &str) -> Result<String> {
    if hierarchy().is_none() {
        return Err(Error::new(Kind::Host, format!("this machine has no cgroup v2, which {who}"))
            .hint("Start the kernel with systemd.unified_cgroup_hierarchy=1"));
    }
    let slice = parent.filter(|parent| is_slice(parent));
    // Processes outside the user manager, as in a session, cannot be moved into a slice.
    let beside = slice.is_some() && !of_process(std::process::id().cast_signed()).is_some_and(is_managed);
    if !beside && let Some(place) = place(parent) {
        return Ok(place);
    }
    let own = std::process::id().cast_signed();
    ask_for_scope(&format!("coracle-start-{own}"), &[own], slice).map_err(|why| {
        let hint = match slice {
            None => {
                "Start it in a cgroup of your own: systemd-run --user --scope -p Delegate=yes coracle run ..."
            }
            Some(_) => "A slice needs a systemd user manager; without one give the path of a cgroup",
        };
        Error::new(Kind::Host, format!("this account cannot create a cgroup, which {who}"))
            .caused_by(why)
            .hint(hint)
    })?;
    place(parent).ok_or_else(|| Error::new(Kind::Host, "this account cannot change the scope"))
}

/// What is said where limits are kept in the plan only, in podman's words.
pub const IGNORED: &str = "Resource limits are not supported and ignored on cgroups V1 rootless systems";

/// Whether the controllers of these limits are version 1's on this machine, which an ordinary account cannot use.
pub fn out_of_reach(resources: &Resources) -> bool {
    // Nothing to enable.
    if resources.clone().limiting().is_empty() || hierarchy() == Some(MOUNTS[0]) {
        return false;
    }
    let top = hierarchy().and_then(|_| Group::open("/").ok());
    top.is_none_or(|top| resources.controllers().iter().any(|controller| !top.has(controller)))
}

/// Checks whether this host supports the limits, and prepares for them.
///
/// # Errors
/// [`Kind::Host`] with the controller that is missing and what grants it.
pub fn prepare(resources: &Resources, parent: Option<&str>) -> Result<()> {
    if resources.is_empty() {
        return Ok(());
    }
    let wanted = resources.controllers();
    let shown = wanted.iter().cloned().collect::<Vec<_>>().join(", ");
    let place = usable_place(parent, &format!("limits need (controllers: {shown})"))?;
    let group = Group::open(&place).context(Kind::Host, || format!("open cgroup {place}"))?;
    let has = |file: &str, controller: &str| {
        group.read(file).is_some_and(|text| text.split_ascii_whitespace().any(|word| word == controller))
    };
    let missing: Vec<&str> =
        wanted.iter().map(String::as_str).filter(|wanted| !has("cgroup.controllers", wanted)).collect();
    if !missing.is_empty() {
        return Err(not_granted(&place, &missing));
    }
    for controller in wanted.iter().filter(|wanted| !has("cgroup.subtree_control", wanted)) {
        match group.write("cgroup.subtree_control", &format!("+{controller}")) {
            Err(e) if e.raw_os_error() == Some(Errno::EBUSY as i32) => {
                return Err(Error::new(
                    Kind::Host,
                    format!("cgroup {place} has processes of its own, so it cannot delegate the \
                             {controller} controller"),
                )
                .hint("Start it in a cgroup of your own: systemd-run --user --scope -p Delegate=yes coracle run ..."));
            }
            other => {
                other.context(Kind::Host, || format!("enable the {controller} controller in {place}"))?
            }
        }
    }
    Ok(())
}

fn not_granted(place: &str, missing: &[&str]) -> Error {
    let list = missing.join(" ");
    Error::new(Kind::Host, format!("cgroup {place} lacks what the limits need: {list} (controllers)")).hint(format!(
        "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' \
         | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload, then log in \
         again; or leave the limits out that need {list}."
    ))
}

/// Where a limited container's cgroup is made: the highest one above this process that it may change, or
/// the one that was asked for.
fn place(parent: Option<&str>) -> Option<String> {
    let own = of_process(std::process::id().cast_signed())?;
    if let Some(parent) = parent {
        let path = match parent {
            slice if is_slice(slice) => slice_path(&own, slice)?,
            path if path.starts_with('/') => path.to_owned(),
            path => format!("{}/{path}", own.trim_end_matches('/')),
        };
        let plain = path.split('/').all(|part| part != "..");
        return (plain && may_change(&path)).then_some(path);
    }
    let mut best = None;
    let mut path = own;
    loop {
        if !may_change(if path.is_empty() { "/" } else { &path }) {
            return best;
        }
        best = Some(if path.is_empty() { "/".to_owned() } else { path.clone() });
        let Some(end) = path.trim_end_matches('/').rfind('/') else { return best };
        path.truncate(end);
    }
}

/// Whether a parent is given by the name of a slice, as with podman under systemd.
fn is_slice(parent: &str) -> bool {
    parent.ends_with(".slice") && !parent.contains('/')
}

/// Whether a cgroup is one of a user's service manager.
fn is_managed(path: String) -> bool {
    path.split('/').any(|part| part.starts_with("user@") && part.ends_with(".service"))
}

/// Where the user's service manager has a slice, given the cgroup of one who lives below that manager or
/// in a session beside it. `a-b.slice` is in `a.slice` (systemd.slice(5)).
fn slice_path(own: &str, slice: &str) -> Option<String> {
    let user = own.split('/').find_map(|part| part.strip_prefix("user-")?.strip_suffix(".slice"))?;
    let stem = slice.strip_suffix(".slice").filter(|stem| stem.split('-').all(|word| !word.is_empty()))?;
    let mut path = format!("/user.slice/user-{user}.slice/user@{user}.service");
    for (at, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
        path.push_str(&format!("/{}.slice", &stem[..at]));
    }
    Some(path)
}

pub(super) fn may_change(path: &str) -> bool {
    let Ok(group) = Group::open(path) else { return false };
    let may = |file: &str| faccessat(group.dir(), file, AccessFlags::W_OK, AtFlags::empty()).is_ok();
    may("cgroup.procs") && may(".")
}

/// Makes a limited container's cgroup and puts a process into it.
///
/// # Errors
/// The file that could not be written; `EINVAL` is what the kernel does not take.
pub fn begin(
    id: &ContainerId,
    resources: &Resources,
    parent: Option<&str>,
    pid: Option<i32>,
) -> std::result::Result<Group, Failure> {
    let own = name(id);
    let place =
        place(parent).ok_or_else(|| Failure::other("make cgroup", own.as_str(), "it cannot be created"))?;
    let group = Group::below(&place, &own).doing("make cgroup", &own)?;
    write_all(&group, &resources.settings())?;
    if let Some(pid) = pid {
        group.take(pid)?;
    }
    Ok(group)
}

fn write_all(group: &Group, settings: &[Setting]) -> std::result::Result<(), Failure> {
    for setting in settings {
        let Setting { file, value, device } = setting;
        let text = match device {
            None => value.clone(),
            Some(path) => {
                let number = stat(path).doing("look at device", path)?.st_rdev;
                format!("{}:{} {value}", major(number), minor(number))
            }
        };
        match group.write(file, &text) {
            // Without swap there is nothing to be limited.
            Err(e) if file == "memory.swap.max" && e.raw_os_error() == Some(Errno::ENOENT as i32) => {}
            other => other.doing("set limit", format!("{file} to {text}"))?,
        }
    }
    Ok(())
}

/// The path of the cgroup that [`begin`] made for a container of this process's.
pub(super) fn path(id: &ContainerId, parent: Option<&str>) -> Option<String> {
    Some(format!("{}/{}", place(parent)?.trim_end_matches('/'), name(id)))
}

/// Whether the kernel has ended a process of the container for want of memory, since its cgroup was made.
pub fn oom_killed(plan: &ContainerSpec) -> bool {
    // Limits may have been set after the container was made, but hardly of one that goes when it ends.
    if plan.limits.resources.is_empty() && plan.lifecycle.auto_remove {
        return false;
    }
    let path = path(&plan.id, plan.limits.cgroup_parent.as_deref());
    let group = path.and_then(|path| Group::open(&path).ok());
    group.and_then(|group| group.number("memory.events", "oom_kill")).is_some_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_nested_by_their_names() {
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        let session = "/user.slice/user-1000.slice/session-3.scope";
        for own in [session, &format!("{manager}/app.slice/x.scope")] {
            assert_eq!(slice_path(own, "batch.slice"), Some(format!("{manager}/batch.slice")));
            let nested = format!("{manager}/batch.slice/batch-low.slice/batch-low-x.slice");
            assert_eq!(slice_path(own, "batch-low-x.slice"), Some(nested));
            for bad in [".slice", "-.slice", "a--b.slice", "-a.slice"] {
                assert_eq!(slice_path(own, bad), None, "{bad}");
            }
        }
        assert_eq!(slice_path("/", "batch.slice"), None);
        assert!(is_slice("a.slice") && !is_slice("/a.slice") && !is_slice("a"));
    }
}
