//! What the user sees: errors, tables, templates, progress. The only place that prints.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the room that prints")]

use crate::error::{Error, Kind};
use crate::text::printable;
use std::io::Write;
use std::process::ExitCode;

mod confirm;
mod dialect;
mod each;
mod out;
pub mod progress;
mod refusal;
pub mod rows;
pub mod terminal;

pub use confirm::confirm;
pub use dialect::{Identity, docker, docker_exit_code, identity};
pub use each::each;
pub use out::out;

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
    // Messages may quote a registry or an image; hints are ours and may hold a file to write.
    let mut text = format!("Error: {}\n", printable(&error.to_string()));
    for cause in error.causes() {
        text.push_str(&format!("Caused by: {}\n", printable(&cause)));
    }
    for hint in error.hints() {
        text.push_str(&format!("Hint: {hint}\n"));
    }
    // A closed standard error leaves nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Tells of what was asked for in vain, in lines of the log.
pub fn warn(warnings: &[String]) {
    for warning in warnings {
        log::warn!("{warning}");
    }
}

/// Prints what clap has to say about this process's command line: help to standard output; a refusal as
/// any other error, with exit 125; to docker an unknown command is a failure like others.
pub fn usage(refused: &clap::Error, tree: &clap::Command) -> ExitCode {
    if refused.use_stderr() {
        let code = fail(&refusal::explain(refused, tree, &std::env::args_os().collect::<Vec<_>>()));
        let unknown = refused.kind() == clap::error::ErrorKind::InvalidSubcommand;
        return if unknown && docker() { docker_exit_code(code) } else { code };
    }
    let text = refused.render().to_string();
    printed(&format!("{}\n", text.trim_end()))
}

/// Prints a text that is all that was asked for, and returns the exit code.
pub fn printed(text: &str) -> ExitCode {
    match out(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}
