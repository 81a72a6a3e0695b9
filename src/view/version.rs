//! Version information.

use super::Dialect;
use crate::image::Platform;
use serde_json::{Value, json};

/// When the source was last changed, seconds since 1970, if the build says so (SOURCE_DATE_EPOCH).
const BUILT: Option<&str> = option_env!("SOURCE_DATE_EPOCH");

/// The version of docker's interface that templates and output are modelled on.
const API: &str = "1.43";

/// The document of `version`; `kernel` is the kernel's release.
pub fn document(dialect: Dialect, kernel: &str) -> Value {
    let facts = facts();
    match dialect {
        Dialect::Docker => docker_facts(&facts, kernel),
        Dialect::Podman => json!({ "Client": facts }),
    }
}

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

/// The same in docker's format, which separates client and server.
fn docker_facts(facts: &Value, kernel: &str) -> Value {
    let common = json!({
        "Version": facts["Version"],
        "ApiVersion": API,
        "Os": facts["Os"],
        "Arch": facts["Arch"],
        "BuildTime": facts["BuiltTime"],
        "GitCommit": "",
        "GoVersion": "",
        "Experimental": false,
    });
    let (mut client, mut server) = (common.clone(), common);
    client["Platform"] = json!({ "Name": "coracle" });
    client["DefaultAPIVersion"] = json!(API);
    client["Context"] = json!("default");
    server["Platform"] = json!({ "Name": "coracle" });
    server["MinAPIVersion"] = json!(API);
    server["KernelVersion"] = json!(kernel);
    server["Components"] = json!([{ "Name": "Engine", "Version": facts["Version"], "Details": {} }]);
    json!({ "Client": client, "Server": server })
}
