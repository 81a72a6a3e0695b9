//! One line of the table.

/// Cells, to be set in columns.
pub(super) fn line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join("\t") + "\n"
}
