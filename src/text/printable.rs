//! Text from images, containers and registries, made safe for a terminal.

use std::borrow::Cow;

/// Whether a terminal may obey a character or show others elsewhere because of it: control characters, line and paragraph
/// separators, and those that say in which direction text runs (Unicode standard annex 9).
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with such characters shown as escapes: `\n`, `\x1b`, `\u{202e}`. What others wrote (a label, a registry's
/// answer) must not move the cursor, change colours, break a table or read backwards.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if steers(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_the_rest_is_kept() {
        assert_eq!(printable("plain \u{e9} \u{4e16}"), "plain \u{e9} \u{4e16}");
        assert_eq!(printable("a\x1b[31mb\r\n\u{9b}c\t"), "a\\x1b[31mb\\r\\n\\x9bc\\t");
        assert_eq!(printable("gpj\u{202e}exe\u{2066}\u{2028}"), "gpj\\u{202e}exe\\u{2066}\\u{2028}");
        // Joiners are part of words.
        assert_eq!(printable("a\u{200d}b\u{200c}"), "a\u{200d}b\u{200c}");
    }
}
