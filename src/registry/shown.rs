//! Text from registries, made safe for a terminal.

/// Text of the registry's, fit for a terminal.
pub(super) fn shown(text: &str) -> String {
    let escaped: String = text.chars().take(100).flat_map(char::escape_debug).collect();
    crate::text::printable(&escaped).into_owned()
}

/// One line of text from a server, of at most 200 of its characters.
pub(super) fn printable(text: &str) -> String {
    let short: String = text.trim().chars().take(200).collect();
    crate::text::printable(&short).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_text_is_one_printable_line() {
        assert_eq!(printable(" a\n\x1b[31mb\u{202e} "), "a\\n\\x1b[31mb\\u{202e}");
        assert_eq!(printable(&"x".repeat(500)).len(), 200);
    }
}
