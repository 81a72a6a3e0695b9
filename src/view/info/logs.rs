//! The drivers of logs.

/// The drivers that logs may have.
pub(super) const DRIVERS: [&str; 6] =
    ["k8s-file", "json-file", "journald", "none", "passthrough", "passthrough-tty"];
/// The driver that logs have when none is asked for.
pub(super) const USUAL: &str = "k8s-file";
