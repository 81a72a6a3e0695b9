//! Sizes, as docker's go-units prints and reads them.

/// A number of bytes with three significant digits and decimal units: `12.3MB`, as `images` and `ps -s`.
pub fn size(bytes: u64) -> String {
    scaled(bytes, 1000.0, 3, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// As [`size`], with a blank before the unit: `12.3 MB`, as podman's `images`.
pub fn spaced_size(bytes: u64) -> String {
    let text = size(bytes);
    let unit = text.find(char::is_alphabetic).unwrap_or(text.len());
    format!("{} {}", &text[..unit], &text[unit..])
}

/// A number of bytes with four significant digits and binary units: `1.5GiB`, as memory limits are shown.
pub fn binary_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, 4, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// A number of bytes with four significant digits and decimal units: `3.099MB`, as limits of logs are shown.
pub fn decimal_size(bytes: u64) -> String {
    scaled(bytes, 1000.0, 4, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Reads a number of bytes in which `k`, `m`, `g`, `t` and `p` are powers of 1024, in either case, also written `kb`
/// and `kib`; with a fraction (`1.5g`) and a blank before the unit if need be. `None` for other texts.
pub fn read_binary_size(text: &str) -> Option<u64> {
    read_size(text, 1024)
}

/// As [`read_binary_size`], with powers of 1000.
pub fn read_decimal_size(text: &str) -> Option<u64> {
    read_size(text, 1000)
}

fn read_size(text: &str, base: u64) -> Option<u64> {
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')? + 1;
    let (number, unit) = (text[..end].strip_suffix(' ').unwrap_or(&text[..end]), &text[end..]);
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    let scale = base.pow(power);
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale);
    }
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-' | b'e' | b'E');
    let number: f64 = number.parse().ok().filter(|_| number.bytes().all(plain))?;
    let bytes = number * scale as f64;
    // Everything below 2^63 has its number of bytes.
    (0.0..9.2e18).contains(&bytes).then_some(bytes as u64)
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
        assert_eq!((spaced_size(0), spaced_size(2_130_000)), ("0 B".into(), "2.13 MB".into()));
        assert_eq!((decimal_size(3_099_000), decimal_size(10_000)), ("3.099MB".into(), "10kB".into()));
        assert_eq!((decimal_size(12_345_678), decimal_size(1_984_277)), ("12.35MB".into(), "1.984MB".into()));
    }

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, binary, decimal) in [
            ("0", 0, 0),
            ("512", 512, 512),
            ("512b", 512, 512),
            ("64m", 64 << 20, 64_000_000),
            ("64M", 64 << 20, 64_000_000),
            ("10mb", 10 << 20, 10_000_000),
            ("10MiB", 10 << 20, 10_000_000),
            ("1.5g", 3 << 29, 1_500_000_000),
            ("0.5k", 512, 500),
            (".5k", 512, 500),
            ("1.k", 1024, 1000),
            ("3.099m", 3_249_537, 3_099_000),
            ("1.0000000000001k", 1024, 1000),
            ("2 g", 2 << 30, 2_000_000_000),
            ("1e3", 1000, 1000),
            ("18446744073709551615", u64::MAX, u64::MAX),
        ] {
            assert_eq!(read_binary_size(text), Some(binary), "{text}");
            assert_eq!(read_decimal_size(text), Some(decimal), "{text}");
        }
        for bad in [
            "",
            "m",
            "-1",
            "-0.5k",
            "1x",
            "1mx",
            "1bb",
            "1  m",
            "1.2.3m",
            "0x10",
            "1_000",
            "inf",
            "nan",
            "99999999999999999999",
            "18014398509481984p",
        ] {
            assert_eq!(read_binary_size(bad), None, "{bad:?}");
        }
    }
}
