//! What of an infra container's plan the document of its pod has, too.

use super::{mounts, network};
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::view::Dialect;
use serde_json::{Value, json};

/// Parts of a plan, as `inspect` shows them.
#[derive(Debug)]
pub struct InfraParts {
    /// Its published ports.
    pub bindings: Value,
    /// Its mounts.
    pub mounts: Value,
}

/// Those parts of a plan.
pub fn infra_parts(store: &Store, plan: &ContainerSpec) -> InfraParts {
    InfraParts {
        bindings: network::bindings(plan, Dialect::Podman).into(),
        mounts: json!(mounts::list(store, &plan.mounts)),
    }
}
