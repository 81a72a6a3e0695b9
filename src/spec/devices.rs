//! Devices of the host.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A device node of the host that is shown inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// Where it is on the host, absolute and without symlinks.
    pub host: PathBuf,
    /// Where it appears, absolute.
    pub inside: PathBuf,
    /// `r`, `w` and `m` as asked for; what the account may do with the node is what counts.
    pub permissions: String,
    /// Left out where it is gone by the time of a start.
    #[serde(default)]
    pub optional: bool,
}
