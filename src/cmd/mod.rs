//! One file per verb: its arguments (whose doc comments are the help) and `run`.

use crate::cli::Command;
use crate::error::Result;
use crate::fork;
use crate::host::Env;
use std::process::ExitCode;

pub mod version;

/// Entry points of re-executed stages, by the name that follows `__stage` on the command line.
pub const STAGES: [(&str, fork::Stage); 0] = [];

/// Runs the verb.
///
/// # Errors
/// Whatever the verb reports.
pub fn dispatch(command: Command, env: &Env) -> Result<ExitCode> {
    match command {
        Command::Version(args) => version::run(&args, env),
    }
}
