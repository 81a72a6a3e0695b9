//! A table of text.

use crate::text::printable;

/// Titles, and a row of cells for each process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The first line.
    pub titles: Vec<&'static str>,
    /// One of each process.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The titles as a line of cells with tabs between them.
    pub fn heading(&self) -> String {
        self.titles.join("\t") + "\n"
    }

    /// The rows as lines of cells with tabs between them. What a process calls itself does not break the table.
    pub fn lines(&self) -> String {
        let line = |row: &Vec<String>| {
            let cells: Vec<_> = row.iter().map(|cell| printable(cell)).collect();
            cells.join("\t") + "\n"
        };
        self.rows.iter().map(line).collect()
    }
}
