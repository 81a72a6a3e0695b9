//! What there is to say about this program.

use crate::image::Platform;
use serde_json::{Value, json};

/// When the source was last changed, seconds since 1970, if the build says so (SOURCE_DATE_EPOCH).
const BUILT: Option<&str> = option_env!("SOURCE_DATE_EPOCH");

/// What there is to say about this program; the names are podman's.
pub fn facts() -> Value {
    let platform = Platform::host();
    let built = BUILT.and_then(|text| text.parse::<i64>().ok());
    let time = built.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    json!({
        "APIVersion": env!("CARGO_PKG_VERSION"),
        "Version": env!("CARGO_PKG_VERSION"),
        "GoVersion": "",
        "GitCommit": "",
        "OsArch": format!("{}/{}", platform.os, platform.architecture),
        "Os": platform.os,
        "Arch": platform.architecture,
        "Built": built.unwrap_or(0),
        "BuiltTime": time.map(|time| time.format("%a %b %e %T %Y").to_string()).unwrap_or_default(),
    })
}
