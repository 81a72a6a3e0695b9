//! Sizes as users write them.

use crate::error::{Error, Kind, Result};
use crate::text::units::read_binary_size;
use std::str::FromStr;

/// A number of bytes, as [`read_binary_size`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        read_binary_size(s).map(Size).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{s:?} is not a size"))
                .hint("Write a number with an optional unit b, k, m or g, for example 64m or 1.5g.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_units_of_1024() {
        assert_eq!("1.5g".parse::<Size>().unwrap(), Size(3 << 29));
        let error = "1x".parse::<Size>().unwrap_err();
        assert!(error.message().contains("\"1x\"") && !error.hints().is_empty());
    }
}
