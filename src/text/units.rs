//! Sizes, as docker prints them.

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
}
