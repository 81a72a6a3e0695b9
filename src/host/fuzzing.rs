//! What fuzz targets (fuzz/) need of this room.

use super::config;
use std::path::Path;

/// Reads a coracle.toml.
pub fn settings(bytes: &[u8]) {
    let _ = config::parse(Path::new("coracle.toml"), bytes.to_vec());
}
