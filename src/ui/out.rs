//! Standard output.

use crate::error::{Error, Kind, Result};
use std::io::{self, Write};

/// Writes text to standard output as it is and flushes it.
///
/// # Errors
/// [`Kind::OutputClosed`], which is not reported, when the reader has gone (`coracle ps | head -1`);
/// [`Kind::Storage`] when the output is a file that takes no more.
pub fn out(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(explain)
}

fn explain(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::BrokenPipe => Kind::OutputClosed,
        _ => Kind::Storage,
    };
    Error::new(kind, "write to standard output").caused_by(error)
}
