//! A container's own cgroup: made when it is needed and not before.
//!
//! Theory of operation. A container that is started in a cgroup of the account's gets one of its own below it
//! ([`apart`](mod@apart)), any other stays where it was started until it is to be frozen or has limits. It is
//! called `coracle-<12 digits>` and
//! stands below the cgroup that the container is in, so that whoever may change that one (root, or a user
//! to whom systemd delegated it) needs nobody's help. Where it may not be changed, as in a login session,
//! the user's service manager is asked for a scope of that name, by `busctl`, as podman does over D-Bus;
//! without one the request is refused with the command that helps. What a container's cgroup is can be
//! read in `/proc/<pid>/cgroup`; nothing is recorded.
//!
//! Only version 2 is used: cgroups(7), Documentation/admin-guide/cgroup-v2.rst. Processes are frozen
//! together and can be killed while they are.

mod apart;
mod delegation;
mod freezer;
mod group;
mod limits;
mod reach;
mod removal;
mod scope;

pub use apart::{apart, lock_view};
pub use delegation::{delegates, may_manage};
pub use freezer::{freeze, thaw};
pub use group::{Group, door, name};
pub use limits::{begin, effective, oom_killed, place_to_manage, prepare, update};
pub use reach::{leave, reach};
pub use removal::clear;
