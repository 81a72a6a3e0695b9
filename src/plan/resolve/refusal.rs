//! Reasons for refusing a plan.

use crate::error::{Error, Kind, Result};

pub(super) fn refuse(message: impl Into<String>, hint: &str) -> Error {
    Error::new(Kind::Usage, message).hint(hint)
}

/// An image's data that no kernel call could take.
pub(super) fn no_nul<'a>(what: &str, mut texts: impl Iterator<Item = &'a String>) -> Result<()> {
    match texts.any(|t| t.contains('\0')) {
        true => Err(Error::new(Kind::Image, format!("the image's {what} has a NUL byte"))),
        false => Ok(()),
    }
}
