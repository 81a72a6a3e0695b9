//! Operations on pods: groups of containers, which may share namespaces.
//!
//! Theory of operation. A pod's record says how it was made and never changes ([`crate::storage::pods`]). Its containers
//! name it in their plans; how it stands follows from how they do. The namespaces that they share are held by the infra
//! container, an ordinary container without a payload, which is started before the others and stopped after them. They
//! join it as with `container:ID`, so what that does is true of pods, too.

mod create;
mod discard;
pub mod filter;
mod infra;
mod join;
mod listing;
mod members;
mod prune;
mod removal;
mod signal;
mod start;
mod state;
mod stop;

pub(in crate::engine) use create::plan;
pub use create::{InfraRequest, NewPod, PodRequest, create};
pub(in crate::engine) use discard::{discard, record};
pub(in crate::engine) use infra::{ensure as ensure_infra, of as infra_of};
pub(in crate::engine) use join::{Joining, choose, join};
pub use join::{PodChoice, PodWish};
pub use listing::{ListedPod, list, listed};
pub use prune::prune;
pub use removal::{PodRemoval, remove};
pub use signal::{kill, pause, unpause};
pub use start::{restart, start};
pub use state::PodState;
pub use stop::stop;

use crate::container::ContainerId;
use crate::error::{Error, Warning};

/// What became of the containers of a pod.
#[derive(Debug, Default)]
pub struct PodOutcome {
    /// Those with which it went wrong, and how.
    pub failures: Vec<(ContainerId, Error)>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}
