//! Networks that containers share: making and removing them, and which containers are on them.
//!
//! There is no reference count: a network is in use if a container's plan or settings name it, with docker while it runs. Networks are removed, and
//! containers recorded, under the store's lock, so the two cannot race.

mod attach;
mod connect;
mod create;
pub mod filter;
mod removal;
mod update;

pub use attach::{look_up, present};
pub use connect::{can_reload, connect, disconnect, follow_name, reload};
pub use create::{NetworkRequest, create};
pub use removal::{KeptFor, NetworkRemoval, remove_named, remove_unused, unused};
pub use update::update;
