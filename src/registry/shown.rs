//! Text from registries, made safe for a terminal.

/// Text of the registry's, fit for a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}

/// One line of printable text from a server, at most 200 characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_text_is_one_printable_line() {
        assert_eq!(printable(" a\n\x1b[31mb "), "a  [31mb");
        assert_eq!(printable(&"x".repeat(500)).len(), 200);
    }
}
