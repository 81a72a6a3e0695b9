//! Sizes as users write them.

use crate::error::{Error, Kind, Result};
use std::str::FromStr;

/// A number of bytes: digits with an optional unit `b`, `k`, `m`, `g`, `t` or `p`, powers of 1024,
/// also written `kb` or `kib`, in either case; `1.5g` is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        parse(s).map(Size).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{s:?} is not a size"))
                .hint("Write a number with an optional unit b, k, m or g, for example 64m or 1.5g.")
        })
    }
}

fn parse(s: &str) -> Option<u64> {
    let end = s.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(s.len());
    let (number, unit) = s.split_at(end);
    let shift = match unit.trim_start_matches(' ').to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return None,
    };
    let scale = 1u64 << shift;
    let Some((whole, fraction)) = number.split_once('.') else {
        return number.parse::<u64>().ok()?.checked_mul(scale);
    };
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ten = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let parts = u128::from(whole.parse::<u64>().ok()?) * ten + fraction.parse::<u128>().ok()?;
    u64::try_from(parts * u128::from(scale) / ten).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_units_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512b", 512),
            ("64m", 64 << 20),
            ("64M", 64 << 20),
            ("10mb", 10 << 20),
            ("10MiB", 10 << 20),
            ("1.5g", 3 << 29),
            ("0.5k", 512),
            ("2 g", 2 << 30),
        ] {
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes), "{text}");
        }
        for bad in [
            "",
            "m",
            "-1",
            "1x",
            "1.m",
            ".5m",
            "1.2.3m",
            "0x10",
            "99999999999999999999",
            "18014398509481984p",
        ] {
            assert!(bad.parse::<Size>().is_err(), "{bad:?}");
        }
    }
}
