//! What `--from` means, found.

use super::graph::Origin;
use super::job::Job;
use super::surroundings::Surroundings;
use crate::error::Result;
use crate::image::ChainId;

/// Files, by where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// In a context: the build's own, or a named one.
    Context(Option<String>),
    /// In a stack of layers, bottom first: of a stage or an image.
    Layers(Vec<ChainId>),
}

/// Finds what a name after `--from` means for a stage; without one it is the build's own context. `None` when it is
/// not known yet.
///
/// # Errors
/// An image that cannot be had, a stage that failed.
pub(super) fn find(
    job: &Job<'_>,
    from: Option<&str>,
    before: usize,
    around: &mut dyn Surroundings,
) -> Result<Option<Found>> {
    let Some(name) = from.filter(|name| !name.is_empty()) else { return Ok(Some(Found::Context(None))) };
    let image = |name: &str, around: &mut dyn Surroundings| {
        Ok(around.image(name, before)?.map(|image| Found::Layers(image.layers)))
    };
    match job.graph.origin(name, before) {
        Origin::Scratch => Ok(Some(Found::Layers(Vec::new()))),
        Origin::Stage(number) => Ok(around.stage(number)?.map(|state| Found::Layers(state.chain()))),
        Origin::Context(name) => match job.contexts.image_of(&name) {
            Some(name) => image(name, around),
            None => Ok(Some(Found::Context(Some(name)))),
        },
        Origin::Image(name) => image(&name, around),
    }
}
