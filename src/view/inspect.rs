//! The documents of `inspect`.

mod container;
mod differences;
mod image;
mod limits;

use super::Dialect;
use crate::error::Result;
use crate::image::Image;
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::text::Document;
use serde_json::Value;

/// What is known about a container; with `size` how much it has written, too.
///
/// # Errors
/// When its records cannot be read.
pub fn container(store: &Store, dir: &ContainerDir, size: bool, dialect: Dialect) -> Result<Document> {
    container::show(store, dir, size, dialect)
}

/// What of an infra container's plan the document of its pod has, too.
#[derive(Debug)]
pub struct InfraParts {
    /// Its published ports.
    pub bindings: Value,
    /// Its mounts.
    pub mounts: Value,
}

/// Those parts of a plan.
pub fn infra_parts(store: &Store, plan: &ContainerSpec) -> InfraParts {
    container::infra_parts(store, plan)
}

/// What is known about an image.
///
/// # Errors
/// When its records cannot be read.
pub fn image(store: &Store, image: &Image, dialect: Dialect) -> Result<Document> {
    image::show(store, image, dialect)
}
