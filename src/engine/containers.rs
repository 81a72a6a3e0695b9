//! Operations on containers.
//!
//! Theory of operation. A signal goes to the container's first process through a pidfd, opened by the
//! recorded pid and start time (attack case 37). The monitor reaps that process and writes `exit.json`;
//! everyone else waits for that ([`crate::storage::containers::watch`]). With `--rm` the end is the moment the
//! directory left its place, for then name and ports are free. A monitor that died leaves the status
//! `Crashed`: whoever notices first finishes its work by [`recover()`].

pub mod copy;
mod create;
pub mod dependents;
pub mod export;
mod find;
mod force;
mod kill;
mod pause;
mod recover;
mod remove;
mod running;
pub mod selector;
mod signal;
pub mod start;
pub mod stats;
mod stop;
mod wait;

pub use create::{discard, keep, record};
pub use find::{find, holder, list, settle_all};
pub use force::{Target, end_all};
pub use kill::kill;
pub use pause::{pause, unpause};
pub use recover::recover;
pub use remove::{end, remove, remove_ended, sweep, tidy};
pub use running::Running;
pub use signal::{ask_to_stop, note_stop, signal};
pub use stop::{Stopped, Stopping, stop, stop_policy};
pub use wait::{last_code, wait_ended};
