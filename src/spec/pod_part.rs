//! What a container's plan says of its pod.

use crate::container::ContainerId;
use serde::{Deserialize, Serialize};

/// A pod's identifier: 64 lower-case hex digits, as those of containers.
pub type PodId = ContainerId;

/// What a container's plan says of its pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodPart {
    /// The pod.
    pub id: PodId,
    /// It is the container that holds the pod's namespaces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub infra: bool,
}
