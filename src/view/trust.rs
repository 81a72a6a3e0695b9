//! The policy on images in podman's format.

use crate::engine::images::trust::TrustRow;
use serde_json::{Map, Value, json};

/// A requirement as JSON; what is empty is left out.
pub fn document(row: &TrustRow) -> Value {
    let (name, repository) = match row.transport {
        None => ("* (default)", "default"),
        Some(_) => (row.scope.as_str(), row.scope.as_str()),
    };
    let mut object = Map::new();
    let mut add = |key: &str, value: &str, always: bool| {
        if always || !value.is_empty() {
            object.insert(key.to_owned(), value.into());
        }
    };
    add("transport", transport(row), true);
    add("name", name, false);
    add("repo_name", repository, false);
    add("sigstore", row.store.as_deref().unwrap_or_default(), false);
    add("type", kind(row), true);
    add("gpg_id", row.owners.as_deref().unwrap_or(NONE), false);
    Value::Object(object)
}

/// The same as the row of a table.
pub fn row(row: &TrustRow) -> Value {
    json!({
        "Transport": transport(row),
        "Name": if row.transport.is_none() { "default" } else { &row.scope },
        "Type": kind(row),
        "ID": row.owners.as_deref().unwrap_or(NONE),
        "Store": row.store.as_deref().unwrap_or_default(),
    })
}

/// What stands for the owner of a key without one.
const NONE: &str = "N/A";

fn transport(row: &TrustRow) -> &str {
    match row.transport.as_deref() {
        None => "all",
        Some("docker") => "repository",
        Some(other) => other,
    }
}

fn kind(row: &TrustRow) -> &str {
    match row.kind {
        "insecureAcceptAnything" => "accept",
        "signedBy" => "signed",
        other => other,
    }
}
