//! Sizes, as docker prints and reads them.

use crate::error::{Error, Kind, Result};

/// A number of bytes with three significant digits and decimal units: `12.3MB`, as `images` and `ps -s`.
pub fn size(bytes: u64) -> String {
    scaled(bytes, 1000.0, 3, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// A number of bytes with four significant digits and binary units: `1.5GiB`, as memory limits are shown.
pub fn binary_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, 4, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

fn scaled(bytes: u64, base: f64, digits: usize, units: &[&str]) -> String {
    let mut number = bytes as f64;
    let mut unit = 0;
    loop {
        let shown = significant(number, digits);
        // Rounding may reach the next unit: 999.9 kB is 1MB.
        if unit + 1 == units.len() || shown.parse().is_ok_and(|n: f64| n < base) {
            return format!("{shown}{}", units[unit]);
        }
        number /= base;
        unit += 1;
    }
}

/// At most so many significant digits, no trailing zeroes (C's `%g` for numbers above 1e-4).
fn significant(number: f64, digits: usize) -> String {
    let whole = if number < 1.0 { 1 } else { number.log10().floor() as usize + 1 };
    let shown = format!("{number:.*}", digits.saturating_sub(whole));
    if shown.contains('.') { shown.trim_end_matches('0').trim_end_matches('.').to_owned() } else { shown }
}

/// Reads a number of bytes as docker's and podman's limits are written: `512m`, `1.5g`, `64KiB`,
/// `1024`; units are binary, case does not count.
///
/// # Errors
/// [`Kind::Usage`] when the text is not a size or above 16 EiB.
pub fn parse_bytes(text: &str) -> Result<u64> {
    let wrong = || {
        Error::new(Kind::Usage, format!("{text:?} is not a size"))
            .hint("Write a number with b, k, m, g, t or p behind it: 512m")
    };
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = (&lower[..end], lower[end..].trim_start());
    let power = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit) {
        "" if unit != "ib" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(wrong()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << power).ok_or_else(wrong);
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = number * (1_u64 << power) as f64;
    if bytes.is_finite() && bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_docker_shows_them() {
        for (bytes, decimal, binary) in [
            (0, "0B", "0B"),
            (1, "1B", "1B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1000B"),
            (1023, "1.02kB", "1023B"),
            (1024, "1.02kB", "1KiB"),
            (12_345_678, "12.3MB", "11.77MiB"),
            (7_340_000, "7.34MB", "7MiB"),
            (999_900, "1MB", "976.5KiB"),
            (100_000_000, "100MB", "95.37MiB"),
            (5 << 30, "5.37GB", "5GiB"),
            (u64::MAX, "18.4EB", "16EiB"),
        ] {
            assert_eq!(size(bytes), decimal, "{bytes}");
            assert_eq!(binary_size(bytes), binary, "{bytes}");
        }
    }

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("0", 0),
            ("32", 32),
            ("32b", 32),
            ("32K", 32 << 10),
            ("32kb", 32 << 10),
            ("32Kib", 32 << 10),
            ("512m", 512 << 20),
            ("1.5g", 3 << 29),
            ("32 GB", 32 << 30),
            ("2t", 2 << 40),
            ("1p", 1 << 50),
        ] {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
        }
        for text in
            ["", "b", "m", "-1", "1x", "1.2.3m", "ib", "5ib", "1mm", "hello", "99999999p", "1e3", "inf"]
        {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
