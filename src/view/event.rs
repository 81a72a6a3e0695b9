//! An event as a line, as a document, and as the fields of a template.

mod docker;
mod podman;

use super::Dialect;
use crate::storage::events::Event;
use serde_json::Value;

/// Whether it is a thing of which the dialect tells.
pub fn is_told(event: &Event, dialect: Dialect) -> bool {
    dialect == Dialect::Podman || docker::knows(event)
}

/// The line without a format; `whole` ids are not shortened, as docker's never are.
pub fn line(event: &Event, dialect: Dialect, whole: bool) -> String {
    match dialect {
        Dialect::Podman => podman::line(event, whole),
        Dialect::Docker => docker::line(event),
    }
}

/// The document of `--format json`.
pub fn object(event: &Event, dialect: Dialect) -> Value {
    match dialect {
        Dialect::Podman => podman::object(event),
        Dialect::Docker => docker::object(event),
    }
}

/// What a template may name.
pub fn fields(event: &Event, dialect: Dialect) -> Value {
    match dialect {
        Dialect::Podman => podman::fields(event),
        Dialect::Docker => docker::fields(event),
    }
}
