//! What a stage needs of what is around it.

use super::event::Event;
use super::state::State;
use crate::error::Result;
use crate::image::Image;

/// Answers a stage's questions. While the cache is looked through, what is not known at once is unknown; a process that
/// works a stage off waits for it.
pub(super) trait Surroundings {
    /// What another stage has come to.
    ///
    /// # Errors
    /// When it has failed.
    fn stage(&mut self, number: usize) -> Result<Option<State>>;

    /// An image that `--from` names in a stage.
    ///
    /// # Errors
    /// When it cannot be had.
    fn image(&mut self, name: &str, stage: usize) -> Result<Option<Image>>;

    /// Whether steps are worked off, or only looked up.
    fn works(&self) -> bool;

    /// Tells what happens.
    fn tell(&mut self, event: Event);
}
