//! Records of the build cache as text: a table, or each in full.

use crate::engine::build_cache::Record;
use crate::error::Result;
use crate::text::printable;
use crate::ui::rows::align;
use crate::view::build_cache::{cells, details};

/// A table with a line for each.
///
/// # Errors
/// None in practice: the text is written to memory.
pub(super) fn table(records: &[Record]) -> Result<String> {
    let mut text = "ID\tRECLAIMABLE\tSIZE\tLAST ACCESSED\n".to_owned();
    for record in records {
        let line = cells(record).map(|cell| printable(&cell).into_owned()).join("\t");
        text.push_str(&format!("{line}\n"));
    }
    align(&text)
}

/// Each in full, an empty line behind it.
///
/// # Errors
/// None in practice: the text is written to memory.
pub(super) fn in_full(records: &[Record]) -> Result<String> {
    records.iter().map(|record| Ok(pairs(&details(record))? + "\n")).collect()
}

/// `Name:   value`, a line for each.
///
/// # Errors
/// None in practice: the text is written to memory.
pub(super) fn pairs(all: &[(&str, String)]) -> Result<String> {
    align(&all.iter().map(|(name, value)| format!("{name}:\t{}\n", printable(value))).collect::<String>())
}
