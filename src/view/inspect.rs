//! The documents of `inspect`.

mod container;
mod defaults;
mod image;
mod limits;

use super::Dialect;
use crate::error::Result;
use crate::image::Image;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use serde_json::Value;

/// What is known about a container; with `size` how much it has written, too.
///
/// # Errors
/// When its records cannot be read.
pub fn container(store: &Store, dir: &ContainerDir, size: bool, dialect: Dialect) -> Result<Value> {
    let mut shown = container::show(store, dir, size, dialect)?;
    defaults::fill(&mut shown);
    if dialect == Dialect::Docker {
        as_docker(&mut shown);
    }
    Ok(shown)
}

/// What is known about an image.
///
/// # Errors
/// When its records cannot be read.
pub fn image(store: &Store, image: &Image, dialect: Dialect) -> Result<Value> {
    let mut shown = image::show(store, image)?;
    if dialect == Dialect::Docker {
        as_docker(&mut shown);
    }
    Ok(shown)
}

/// What docker shows in another way: a container's name with a slash, ids with their algorithm.
fn as_docker(value: &mut Value) {
    let is_container = value.get("State").is_some();
    let field = if is_container { "Image" } else { "Id" };
    if let Some(Value::String(id)) = value.get_mut(field)
        && id.len() == 64
    {
        id.insert_str(0, "sha256:");
    }
    if is_container && let Some(Value::String(name)) = value.get_mut("Name") {
        name.insert(0, '/');
    }
}
