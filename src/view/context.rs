//! docker's contexts.

use serde_json::{Value, json};

/// A row of `context ls`.
pub fn row(name: &str, endpoint: &str) -> Value {
    json!({
        "Current": true,
        "Description": "This account's containers",
        "DockerEndpoint": endpoint,
        "Error": "",
        "Name": name,
    })
}

/// What `context inspect` shows.
pub fn record(name: &str, endpoint: &str) -> Value {
    json!({
        "Name": name,
        "Metadata": {},
        "Endpoints": { "docker": { "Host": endpoint, "SkipTLSVerify": false } },
        "TLSMaterial": {},
        "Storage": { "MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>" },
    })
}
