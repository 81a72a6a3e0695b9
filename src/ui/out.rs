//! Standard output, and what stands for it.

use crate::error::{Context, Error, Kind, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

/// Where this program's own output goes instead of standard output: to a file or nowhere.
static ELSEWHERE: OnceLock<Option<File>> = OnceLock::new();

/// Has this program's own output written to a file, or not at all (podman's `--out` and `--noout`). The output of
/// containers is not its own.
///
/// # Errors
/// [`Kind::Usage`] when the file cannot be written.
pub fn divert(file: Option<&Path>, nowhere: bool) -> Result<()> {
    let to = match file {
        Some(path) => Some(
            File::create(path).context(Kind::Usage, || format!("--out: cannot write {}", path.display()))?,
        ),
        None if nowhere => None,
        None => return Ok(()),
    };
    // Asked for once, at the start.
    let _ = ELSEWHERE.set(to);
    Ok(())
}

/// Writes text to standard output as it is and flushes it.
///
/// # Errors
/// [`Kind::OutputClosed`], which is not reported, when the reader has gone (`coracle ps | head -1`);
/// [`Kind::Storage`] when the output is a file that takes no more.
pub fn out(text: &str) -> Result<()> {
    match ELSEWHERE.get() {
        Some(Some(file)) => {
            let mut file: &File = file;
            file.write_all(text.as_bytes()).map_err(explain)
        }
        Some(None) => Ok(()),
        None => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(explain)
        }
    }
}

fn explain(error: io::Error) -> Error {
    failed(Kind::Storage, false, error)
}

/// Why the output of a container cannot be passed on, on standard output or on standard error.
pub fn lost(stderr: bool, error: io::Error) -> Error {
    failed(Kind::OutputLost, stderr, error)
}

fn failed(kind: Kind, stderr: bool, error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::BrokenPipe { Kind::OutputClosed } else { kind };
    let stream = if stderr { "standard error" } else { "standard output" };
    Error::new(kind, format!("write to {stream}")).of_client().caused_by(error)
}
