//! Information about the machine and the store, as `info` shows it.

use super::Dialect;
use super::version::Role;
use crate::engine::info::Info;
use crate::text::Document;

mod docker;
mod docker_text;
mod logs;
mod podman;

pub use docker_text::text as docker_text;

/// The document.
pub fn document(info: &Info, role: Role, dialect: Dialect) -> Document {
    match dialect {
        Dialect::Podman => podman::document(info, role),
        Dialect::Docker => docker::document(info),
    }
}
