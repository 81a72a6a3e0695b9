//! What is shown when a step failed: its last lines of output, between rules.

use super::trace::{Trace, Vertex};
use std::io::{self, Write};

const RULE: &str = "------";

/// Writes the last lines of those that failed; nothing if none did.
pub(super) fn write(to: &mut dyn Write, trace: &Trace, lines: usize) -> io::Result<()> {
    trace.failed().try_for_each(|vertex| one(to, vertex, lines))?;
    to.flush()
}

fn one(to: &mut dyn Write, vertex: &Vertex, lines: usize) -> io::Result<()> {
    writeln!(to, "{RULE}\n > {}:", vertex.name)?;
    for line in vertex.lines.iter().skip(vertex.lines.len().saturating_sub(lines)) {
        writeln!(to, "{:.3} {}", line.at.as_secs_f64(), line.text)?;
    }
    writeln!(to, "{RULE}")
}
