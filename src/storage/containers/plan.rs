//! Parsing a container's plan.

use crate::container::PLAN_VERSION;
use crate::error::{Error, Kind, Result};
use crate::spec::ContainerSpec;
use serde::Deserialize;

/// The part of a plan that says whether this program understands it.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    version: u32,
}

/// A plan from its bytes.
///
/// # Errors
/// When it is malformed, or of a newer version.
pub(super) fn parse(bytes: &[u8]) -> Result<ContainerSpec> {
    match serde_json::from_slice::<ContainerSpec>(bytes) {
        Ok(spec) => match newer(spec.version) {
            Some(error) => Err(error),
            None => Ok(spec),
        },
        // A newer format may be unreadable.
        Err(e) => {
            let version = serde_json::from_slice::<Versioned>(bytes).map_or(0, |plan| plan.version);
            Err(newer(version).unwrap_or_else(|| Error::new(Kind::Storage, "it is damaged").caused_by(e)))
        }
    }
}

/// The refusal of a plan that may mean more than is read of it.
fn newer(version: u32) -> Option<Error> {
    let text = || format!("it has version {version}, this coracle knows up to {PLAN_VERSION}");
    (version > PLAN_VERSION).then(|| Error::new(Kind::Storage, text()))
}

/// Whether the plan is one of a newer version.
pub(super) fn is_newer(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Versioned>(bytes).is_ok_and(|plan| plan.version > PLAN_VERSION)
}
