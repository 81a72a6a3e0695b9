//! Moving processes into a container's cgroup from elsewhere: `exec`.
//!
//! Theory of operation. To move a process, one must be allowed to modify the common ancestor of its old and new
//! cgroup (cgroup-v2.rst, "Delegation Containment"; the same holds for clone3(2) with `CLONE_INTO_CGROUP`). The
//! common ancestor of a login session and the user manager, below which limited containers are, is a slice
//! owned by root. So a command in a session first has itself moved into a scope of that manager, as a start
//! does; the processes that it starts can then be moved on.
//!
//! If the container has no limits, the process can stay in the command's cgroup, unless the account owns that
//! one: then it is the caller's, and must not be exposed to the container ([`super::apart`](mod@super::apart)).
//! A process that cannot be moved to the container's cgroup then gets its own below the command's.

use super::apart::below;
use super::group::{Group, of_process};
use super::limits::may_change;
use super::scope::ask_for_scope;
use crate::error::{Error, Kind, Result};
use crate::storage::containers::{ContainerDir, RunRecord};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// What cgroups are called that are made for what one command starts; its number follows.
const OF_COMMAND: &str = "coracle-exec-";

/// The path of the cgroup for a process that is started in a running container, `None` when it may stay in
/// this process's own; with this process at a place from where its children can be moved there.
///
/// # Errors
/// [`Kind::Host`] when there is no such place: what it starts would escape the limits, or have power over the
/// caller's cgroup.
pub fn reach(container: &ContainerDir, run: &RunRecord, limited: bool) -> Result<Option<String>> {
    let group = Group::find(container, run);
    let own = std::process::id().cast_signed();
    let can = |group: &Group| of_process(own).is_some_and(|path| may_change(common(&path, group.path())));
    if group.as_ref().is_some_and(|group| group.number("cgroup.events", "frozen") == Some(1)) {
        // Not by `pause`, which is recorded. A process moved there would freeze before it could report that.
        let name = container.called();
        return Err(Error::new(Kind::Conflict, format!("container {name} has frozen itself"))
            .hint(format!("Nothing can be started in it. Kill it: coracle kill {name}")));
    }
    let group = match group {
        Some(group) if can(&group) => return Ok(Some(group.path)),
        Some(group) if limited => group,
        _ => {
            let Some(parent) = of_process(own) else { return Ok(None) };
            return Ok(below(&parent, &format!("{OF_COMMAND}{own}"))?.map(|group| group.path));
        }
    };
    let refused = || {
        let name = container.called();
        Error::new(
            Kind::Host,
            format!("no process can be moved from here into the cgroup of container {name}"),
        )
        .hint(format!(
            "Run it under your systemd user manager: systemd-run --user --pty --quiet coracle exec -it \
             {name} ..."
        ))
    };
    ask_for_scope(&format!("coracle-exec-{own}"), &[own], None).map_err(|why| refused().caused_by(why))?;
    if can(&group) { Ok(Some(group.path)) } else { Err(refused()) }
}

/// Removes the cgroup of a process that has ended, if it was made for that process alone. One with processes
/// that it left behind stays.
pub fn leave(path: &str) {
    if let Some((above, name)) = path.rsplit_once('/')
        && name.starts_with(OF_COMMAND)
        && let Ok(above) = Group::open(above)
    {
        let _ = unlinkat(above.dir(), name, UnlinkatFlags::RemoveDir);
    }
}

/// The path of the nearest cgroup above both, or of one that is above the other; `/` for the top.
fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let mut end = 0;
    let mut theirs = other.split('/').skip(1);
    for part in one.split('/').skip(1) {
        if part.is_empty() || theirs.next() != Some(part) {
            break;
        }
        end += 1 + part.len();
    }
    if end == 0 { "/" } else { &one[..end] }
}

#[cfg(test)]
mod tests {
    use super::common;

    #[test]
    fn the_nearest_cgroup_above_both() {
        let slice = "/user.slice/user-1000.slice";
        let container = "/user.slice/user-1000.slice/user@1000.service/coracle-0123456789ab";
        for (own, wanted) in [
            ("/user.slice/user-1000.slice/session-3.scope", slice),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope",
                &format!("{slice}/user@1000.service"),
            ),
            ("/user.slice/user-1000.slice/user@1000.service/coracle-0123456789ab", container),
            (
                "/user.slice/user-1000.slice/user@1000.service/coracle-0123456789abc",
                &format!("{slice}/user@1000.service"),
            ),
            ("/system.slice/x.service", "/"),
            ("/", "/"),
        ] {
            assert_eq!(common(own, container), wanted, "{own}");
        }
        assert_eq!(common("/a/b", "/a"), "/a");
    }
}
