//! The history of an image.

use crate::error::Result;
use crate::image::{HistoryEntry, Image, Reference};
use crate::storage::Store;

/// One step of an image's history.
#[derive(Debug)]
pub struct Step<'a> {
    /// The image's record of it.
    pub entry: HistoryEntry,
    /// Bytes of its layer; 0 without one.
    pub size: u64,
    /// The image, when this step made the last of it.
    pub top: Option<&'a Image>,
    /// The names of that.
    pub names: Vec<String>,
}

/// The steps of an image, the latest first. A layer without a step gets one of its own.
///
/// # Errors
/// When the names of images cannot be read.
pub fn history<'a>(store: &Store, image: &'a Image) -> Result<Vec<Step<'a>>> {
    let size = |layer| store.layers().record(layer).map_or(0, |record| record.size);
    let mut layers = image.layers.iter();
    let mut steps = Vec::new();
    for entry in &image.config.history {
        let layer = if entry.empty_layer { None } else { layers.next() };
        steps.push(Step { entry: entry.clone(), size: layer.map_or(0, size), top: None, names: Vec::new() });
    }
    for layer in layers {
        let entry = HistoryEntry::default();
        steps.push(Step { entry, size: size(layer), top: None, names: Vec::new() });
    }
    if let Some(last) = steps.last_mut() {
        last.top = Some(image);
        last.names = store.images().names(&image.id)?.iter().map(Reference::to_string).collect();
    }
    steps.reverse();
    Ok(steps)
}
