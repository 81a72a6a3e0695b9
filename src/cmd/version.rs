//! `coracle version`.

use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `version`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the version.
///
/// # Errors
/// None so far.
pub fn run(_args: &Args, _env: &Env) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
