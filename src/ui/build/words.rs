//! Texts of progress: what steps write made harmless, numbers of bytes, and names cut to a width.

use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub(super) use crate::text::printable;

/// A line of output as it is shown: without its end, what a return overwrote, and sequences that steer a terminal. Tabs
/// are blanks, and other control characters are written out.
pub(super) fn line(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(&bytes[..end]);
    let last = text.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default();
    let mut plain = String::with_capacity(last.len());
    let mut chars = last.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\t' => plain.push(' '),
            // ECMA-48: a sequence ends with a letter, a string with a bell or a backslash after an escape.
            '\u{1b}' => match chars.next_if(|c| (' '..='~').contains(c)) {
                Some('[') => drop(chars.by_ref().find(|c| ('@'..='~').contains(c))),
                Some(' '..='/') => drop(chars.by_ref().find(|c| ('0'..='~').contains(c))),
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    let mut escaped = false;
                    let ends = |c: &char| {
                        std::mem::replace(&mut escaped, *c == '\u{1b}') && *c == '\\' || *c == '\u{7}'
                    };
                    chars.by_ref().find(ends);
                }
                Some(_) => {}
                None => plain.push_str("\\x1b"),
            },
            '\u{9b}' => drop(chars.by_ref().find(|c| ('@'..='~').contains(c))),
            other => plain.push(other),
        }
    }
    match printable(&plain) {
        Cow::Borrowed(_) => plain,
        Cow::Owned(text) => text,
    }
}

/// A number of bytes as BuildKit's progress has it: two digits behind the point, decimal units.
pub(super) fn bytes(count: u64) -> String {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.iter().find(|(_, size)| count as f64 >= *size) {
        Some((unit, size)) => format!("{:.2}{unit}", count as f64 / size),
        None => format!("{count}B"),
    }
}

/// How far something is: `1.50MB / 3.00MB`; nothing for what has no size.
pub(super) fn amount(current: u64, total: Option<u64>) -> String {
    match total {
        Some(0) => String::new(),
        Some(total) => format!("{} / {}", bytes(current), bytes(total)),
        None if current > 0 => bytes(current),
        None => String::new(),
    }
}

/// The columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// A text of at most so many columns; one that was longer ends with `...`.
pub(super) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let (dots, room) = if columns > 6 { ("...", columns - 3) } else { ("", columns) };
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > room
    });
    Cow::Owned(format!("{}{dots}", &text[..end.map_or(text.len(), |(at, _)| at)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_steers_no_terminal() {
        for (bytes, shown) in [
            (&b"plain\n"[..], "plain"),
            (b"dos\r\n", "dos"),
            (b"10%\r50%\r100%\n", "100%"),
            (b"a\tb", "a b"),
            (b"\x1b[31mred\x1b[0m \x1b[2Jx", "red x"),
            (b"\x1b]0;title\x07text", "text"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1b(Bx\x1b7y", "xy"),
            (b"end\x1b", "end\\x1b"),
            (b"open \x1b[", "open "),
            (b"bell\x07\x08", "bell\\x07\\x08"),
            ("\u{9b}31mx".as_bytes(), "x"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"\n", ""),
            (b"", ""),
        ] {
            assert_eq!(line(bytes), shown, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_have_two_digits_behind_the_point() {
        for (count, shown) in
            [(0, "0B"), (999, "999B"), (1000, "1.00kB"), (3_621_000, "3.62MB"), (7_340_000_000, "7.34GB")]
        {
            assert_eq!(bytes(count), shown);
        }
        assert_eq!(amount(1500, Some(3000)), "1.50kB / 3.00kB");
        assert_eq!((amount(31, None), amount(0, None)), ("31B".to_owned(), String::new()));
    }

    #[test]
    fn names_are_cut_at_a_width() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("much longer", 8), "much ...");
        assert_eq!(cut("abcdef", 4), "abcd");
        assert_eq!(cut("\u{4e16}\u{754c}\u{4e16}\u{754c}\u{4e16}", 8), "\u{4e16}\u{754c}...");
        assert_eq!(cut("x", 0), "");
    }
}
