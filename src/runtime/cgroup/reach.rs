//! Into a container's cgroup from elsewhere: `exec`.
//!
//! Theory of operation. Who moves a process must be allowed to change the cgroup above both its old place
//! and its new one (cgroup-v2.rst, "Delegation Containment"; the same holds for clone3(2) with
//! `CLONE_INTO_CGROUP`). A login session and the user's service manager, below which limited containers
//! stand, meet in a slice of root's. So a command of a session has itself moved into a scope of that
//! manager first, as a start does; what it starts can then be moved on.

use super::limits::may_change;
use super::{Group, ask_for_scope, of_process};
use crate::error::{Error, Kind, Result};
use crate::storage::containers::{ContainerDir, RunRecord};

/// The path of a running container's own cgroup, when it has one, with this process at a place from where
/// its children can be moved there.
///
/// # Errors
/// [`Kind::Host`] when there is no such place: what it starts would escape the limits.
pub fn reach(container: &ContainerDir, run: &RunRecord) -> Result<Option<String>> {
    let Some(group) = Group::find(container, run) else { return Ok(None) };
    let own = std::process::id().cast_signed();
    let can = || of_process(own).is_some_and(|path| may_change(common(&path, group.path())));
    if can() {
        return Ok(Some(group.path));
    }
    let refused = || {
        let name = container.called();
        Error::new(
            Kind::Host,
            format!("from here no process can be put under the limits of container {name}"),
        )
        .hint(format!(
            "Do it below your service manager: systemd-run --user --pty --quiet coracle exec -it {name} ..."
        ))
    };
    ask_for_scope(&format!("coracle-exec-{own}"), &[own], None).map_err(|why| refused().caused_by(why))?;
    if can() { Ok(Some(group.path)) } else { Err(refused()) }
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
