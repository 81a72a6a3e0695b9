//! The record `version`: the store's format, and the ids that its layers were made with.

use super::id_ranges::IdRanges;
use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The store format this program writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// The content of `version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// The store's format, [`FORMAT`].
    pub(super) format: u32,
    /// The id map its layers were made with, once there is a layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id_map: Option<IdRanges>,
}

pub(super) fn check_format(data: &Path, format: u32) -> Result<()> {
    if format <= FORMAT {
        return Ok(());
    }
    Err(Error::new(
        Kind::Storage,
        format!("the store at {} has format {format}, this coracle knows up to {FORMAT}", data.display()),
    )
    .hint("A newer version has used it. Update this one, or use another place: coracle --root DIR ..."))
}
