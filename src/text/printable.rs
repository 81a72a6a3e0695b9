//! Text from images, containers and registries, made safe for a terminal.

use std::borrow::Cow;

/// The text with control characters shown as escapes: `\n`, `\x1b`. What others wrote (a label, a
/// registry's answer) must not move the cursor, change colours or break a table.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
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
    }
}
