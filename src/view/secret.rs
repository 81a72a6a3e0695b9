//! A secret in podman's format, without its value.

use crate::storage::secrets::Secret;
use crate::text::time;
use chrono::SecondsFormat;
use serde_json::{Value, json};
use std::path::Path;

/// What `inspect` shows; `dir` is where secrets are kept.
pub fn record(secret: &Secret, dir: &Path) -> Value {
    let time = |time: &chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mut options = json!(secret.driver_options);
    options["path"] = dir.to_string_lossy().into();
    json!({
        "ID": secret.id,
        "CreatedAt": time(&secret.created),
        "UpdatedAt": time(&secret.updated),
        "Spec": {
            "Name": secret.name,
            "Driver": { "Name": secret.driver, "Options": options },
            "Labels": secret.labels,
        },
    })
}

/// The row of a table or template.
pub fn row(secret: &Secret) -> Value {
    json!({
        "ID": secret.id,
        "Name": secret.name,
        "Driver": secret.driver,
        "CreatedAt": time::ago(secret.created),
        "UpdatedAt": time::ago(secret.updated),
        "Labels": secret.labels,
    })
}
