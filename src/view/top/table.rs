//! A table of text.

/// Titles, and a row of cells for each process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The first line.
    pub titles: Vec<&'static str>,
    /// One of each process.
    pub rows: Vec<Vec<String>>,
}
