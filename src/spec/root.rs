//! Where a root file system comes from.

use crate::image::ChainId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a container's root file system comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootSpec {
    /// A stack of image layers, bottom first, under an upper directory of the container's own.
    Layers(Vec<ChainId>),
    /// A host directory (`--rootfs DIR`), written to in place, or below a throw-away upper (`DIR:O`).
    Directory {
        /// Absolute host path.
        path: PathBuf,
        /// Leave the directory untouched: changes go to a throw-away upper.
        overlay: bool,
    },
    /// The host's own tree below throw-away uppers (`--rootfs /:O`).
    HostTree,
}
