//! A container's own cgroup, created only when needed.
//!
//! Theory of operation. A container that is started in a cgroup that the account owns gets its own below it
//! ([`apart`](mod@apart)). Any other container stays where it was started until it is paused or gets limits.
//! The cgroup is called `coracle-<12 digits>` and is created below the container's current cgroup, so that an
//! account that may modify that one (root, or a user to whom systemd delegated it) needs no help. If the
//! account may not, as in a login session, systemd's user manager is asked for a scope of that name through
//! `busctl`, as podman does over D-Bus; if there is none, the request is refused with a command that helps. The
//! cgroup of a container is read from `/proc/<pid>/cgroup`; it is not recorded.
//!
//! Only cgroup v2 is used: cgroups(7), Documentation/admin-guide/cgroup-v2.rst. Processes are frozen together
//! and can be killed while frozen.

mod apart;
mod delegation;
mod freezer;
mod group;
mod limits;
mod manager;
mod reach;
mod removal;
mod scope;

pub use apart::{apart, lock_view};
pub use delegation::{delegates, may_manage};
pub use freezer::{freeze, thaw};
pub use group::{Group, door, name, of_process};
pub use limits::{IGNORED, begin, effective, oom_killed, out_of_reach, place_to_manage, prepare, update};
pub use manager::manager;
pub use reach::{leave, reach};
pub use removal::clear;
