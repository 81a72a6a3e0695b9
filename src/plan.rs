//! The plan of a container: a plain, owned, serializable description, and how a request becomes one.
//!
//! [`ContainerSpec`] is written once as `plan.json` and never changes; code that runs a container reads nothing
//! else. It contains no descriptors, locks or lifetimes. Resolving is pure: the same request, image and host
//! facts produce the same plan.

pub mod caps;
pub mod cdi;
mod copy;
pub mod device;
pub mod env;
pub mod health;
pub mod id_lines;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod logging;
pub mod mount;
pub mod notify;
pub mod option_values;
pub mod process;
mod rebase;
pub mod request;
pub mod resolve;
pub mod resources;
pub mod secret;
pub mod security;
pub mod systemd;
pub mod units;

pub use crate::spec::{
    LimitSpec, LogDriver, LogSpec, MountSource, MountSpec, OverlaySpec, SeccompSpec, SecuritySpec, Ulimit,
};
pub use copy::copy;
pub use rebase::rebase;
pub use request::Request;
pub use resolve::{Facts, Resolved, UNIT, check, resolve};

pub use crate::container::PLAN_VERSION;

#[cfg(test)]
mod tests;
