//! Text from registries, made safe for a terminal.

/// Text of the registry's, fit for a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
