//! Messages about malformed archives.

use crate::error::{Error, Kind};

/// A malformed archive.
pub(super) fn bad(how: impl Into<String>) -> Error {
    Error::new(Kind::Image, format!("the archive is malformed: {}", how.into()))
}
