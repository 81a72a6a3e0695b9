//! What the user sees: errors, tables, templates, progress. The only place that prints.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the room that prints")]

use crate::error::{Error, Kind};
use std::io::Write;
use std::process::ExitCode;

mod out;
pub mod rows;
pub mod template;
pub mod time;
pub mod units;

pub use out::{out, out_bytes};

/// Prints `Error:`, `Caused by:` and `Hint:` to standard error and gives the exit code.
pub fn fail(error: &Error) -> ExitCode {
    report(error);
    ExitCode::from(error.kind().exit_code())
}

/// Prints `Error:`, `Caused by:` and `Hint:` to standard error.
pub fn report(error: &Error) {
    if error.kind() == Kind::OutputClosed {
        return;
    }
    let mut text = format!("Error: {error}\n");
    for cause in error.causes() {
        text.push_str(&format!("Caused by: {cause}\n"));
    }
    for hint in error.hints() {
        text.push_str(&format!("Hint: {hint}\n"));
    }
    // A closed standard error leaves nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Prints what clap has to say: help to standard output, a refusal to standard error with exit 125.
pub fn usage(refused: &clap::Error) -> ExitCode {
    let _ = refused.print();
    if refused.use_stderr() { ExitCode::from(125) } else { ExitCode::SUCCESS }
}
