//! Scopes of systemd's user manager: cgroups that the user owns where the session's belongs to root.

use super::group::{Group, of_process, own_part};
use crate::error::{Error, Kind};
use crate::runtime::processes;
use crate::storage::containers::ContainerDir;
use crate::sys::fd::command;
use crate::sys::process::find_program;
use std::time::{Duration, Instant};

/// How long the service manager gets to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the user's service manager for a scope with the container's processes in it.
pub(super) fn scope(own: &str, container: &ContainerDir) -> std::result::Result<Group, String> {
    let pids = processes::own(container).map_err(|e| e.to_string())?;
    let path = ask_for_scope(own, &pids, None)?;
    Group::open(&path).map_err(|e| e.to_string())
}

/// Asks the user's service manager to move processes into a new scope that is the user's to change, in this
/// slice or its usual one; returns its path.
pub(super) fn ask_for_scope(
    own: &str,
    pids: &[i32],
    slice: Option<&str>,
) -> std::result::Result<String, String> {
    let busctl = find_program("busctl", &[]).ok_or(
        "busctl, which asks systemd for a cgroup, is not \
                                                    installed",
    )?;
    let unit = format!("{own}.scope");
    let mut call = command(busctl);
    call.args(["--user", "--quiet", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1"]);
    call.args(["org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))"]);
    call.args([unit.as_str(), "fail", if slice.is_some() { "3" } else { "2" }, "Delegate", "b", "true"]);
    if let Some(slice) = slice {
        call.args(["Slice", "s", slice]);
    }
    call.args(["PIDs", "au"]).arg(pids.len().to_string());
    call.args(pids.iter().map(ToString::to_string)).arg("0");
    let answer = call.stdin(std::process::Stdio::null()).output().map_err(|e| e.to_string())?;
    if !answer.status.success() {
        return Err(String::from_utf8_lossy(&answer.stderr).trim().to_owned());
    }
    let first = pids.first().copied().unwrap_or_default();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(path) = of_process(first).and_then(|path| own_part(&path, own)) {
            return Ok(path);
        }
        // The manager does it in a job of its own, and says when only to those that speak its protocol.
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("systemd created no scope".to_owned())
}

pub(super) fn not_ours(parent: &str, why: String) -> Error {
    Error::new(Kind::Host, format!("pausing needs a cgroup, and this account cannot create one in {parent}"))
        .caused_by(why)
        .hint("Start the container in a cgroup of your own: systemd-run --user --scope -p Delegate=yes coracle run ...")
}
