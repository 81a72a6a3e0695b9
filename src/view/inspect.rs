//! The documents of `inspect`.

mod container;
mod differences;
mod image;
mod limits;

pub use container::infra::{InfraParts, infra_parts};

use super::Dialect;
use crate::error::Result;
use crate::image::Image;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::text::Document;

/// What is known about a container; with `size` how much it has written, too.
///
/// # Errors
/// When its records cannot be read.
pub fn container(store: &Store, dir: &ContainerDir, size: bool, dialect: Dialect) -> Result<Document> {
    container::show(store, dir, size, dialect)
}

/// What is known about an image.
///
/// # Errors
/// When its records cannot be read.
pub fn image(store: &Store, image: &Image, dialect: Dialect) -> Result<Document> {
    image::show(store, image, dialect)
}
