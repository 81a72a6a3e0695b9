//! What every form of progress can do.

use crate::build::event::{Event, Warning};
use std::io;
use std::time::Duration;

/// A form of progress. Times are since the build began.
pub(super) trait Show: std::fmt::Debug {
    /// Shows an event.
    ///
    /// # Errors
    /// Those of write(2).
    fn event(&mut self, event: &Event, now: Duration) -> io::Result<()>;

    /// Shows how it ended.
    ///
    /// # Errors
    /// Those of write(2).
    fn end(&mut self, now: Duration) -> io::Result<()>;

    /// What the build checks found, if it is to be listed at the end.
    fn findings(&self) -> Option<&[Warning]>;
}
