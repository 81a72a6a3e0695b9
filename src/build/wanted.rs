//! What a step selects of a context or of layers.

use super::files::Select;

/// What is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Paths or patterns, relative to the root.
    pub sources: Vec<String>,
    /// How.
    pub how: Select,
}

/// A path with everything below it.
pub(super) fn whole(part: &str) -> Wanted {
    let source = if part.is_empty() { "." } else { part };
    Wanted { sources: vec![source.to_owned()], how: Select::default() }
}
