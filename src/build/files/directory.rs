//! Making a directory: WORKDIR.

use super::destination::Destination;
use super::maker::{Maker, Write};
use crate::error::Result;

/// Makes the directory that a destination is, and those above it that are missing.
///
/// # Errors
/// A file in the way; what the file system refuses.
pub fn make_directory(at: &Destination<'_>, how: &Write) -> Result<()> {
    let maker = Maker::new(how)?;
    maker.directory(at)?;
    maker.settle()
}
