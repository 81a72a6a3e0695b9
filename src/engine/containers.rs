//! Operations on containers.
//!
//! Theory of operation. Signals are sent to the container's main process through a pidfd, which is opened by
//! the recorded pid and start time (attack case 37). The monitor reaps that process and writes `exit.json`;
//! everyone else waits for that record ([`crate::storage::containers::watch`]). With `--rm`, the run is over
//! when the directory has been moved, because only then are the name and the ports free. If the monitor died,
//! the status is `Crashed`, and the first command that notices cleans up with [`recover()`].

mod account;
pub mod auto_update;
pub mod cleanup;
pub mod clone;
pub mod copy;
mod create;
pub mod dependents;
pub mod exec;
pub mod export;
mod find;
mod force;
pub mod health;
pub mod id_file;
mod init;
mod kill;
pub mod listing;
mod log_tag;
pub mod logs;
mod pause;
mod policy;
pub(in crate::engine) mod preflight;
mod published;
mod records;
mod recover;
mod removal;
mod remove;
mod rename;
mod run;
mod running;
pub mod selector;
pub(in crate::engine) mod shared;
mod signal;
pub(in crate::engine) mod sources;
pub mod start;
pub mod stats;
mod stop;
mod update;
mod wait;

pub(in crate::engine) use account::account_for;
pub use create::{CreateRequest, Created, create};
pub use find::{find, list, settle_all};
pub use id_file::IdFile;
pub use init::init;
pub use kill::{kill, kill_with};
pub use pause::{pause, unpause};
pub use policy::stop_policy;
pub use published::published;
pub(in crate::engine) use records::{discard, keep, record};
pub use recover::recover;
pub use removal::{RemoveRequest, Remover, end, remove_ended, remove_user};
pub use remove::{remove, sweep, tidy};
pub use rename::rename;
pub use run::{Records, Started, run};
pub use running::Running;
pub use signal::signal;
pub use sources::look_up;
pub use stop::{Stopped, Stopping, stop};
pub use update::{UpdateRequest, update};
pub use wait::{Condition, wait_first, wait_until};
