//! Asks for confirmation before something is removed.

use crate::error::{Context, Error, Kind, Result};
use std::io::{BufRead, IsTerminal, Write};

/// Asks on standard output and reads a line of standard input: whether it begins with y.
///
/// # Errors
/// [`Kind::Usage`] if there is no terminal to ask on; if either stream fails.
pub fn confirm(question: &str) -> Result<bool> {
    super::out(question)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context(Kind::Usage, || "read the answer")?;
    if answer.is_empty() {
        // The shell's next prompt starts on a line of its own.
        let _ = std::io::stdout().write_all(b"\n");
        let why = if std::io::stdin().is_terminal() { "" } else { " (standard input is not a terminal)" };
        return Err(Error::new(Kind::Usage, format!("no answer{why}"))
            .hint("Do it without a question: add --force to the command."));
    }
    Ok(answer.trim_start().starts_with(['y', 'Y']))
}
