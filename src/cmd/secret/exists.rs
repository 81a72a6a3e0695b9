//! `coracle secret exists`.

use crate::error::{Kind, Result};
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `secret exists`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Secret by name or id
    #[arg(value_name = "SECRET")]
    pub secret: String,
}

/// Exit code 0 when there is a secret of this name or id, else 1.
///
/// # Errors
/// When the secrets cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    match crate::cmd::store(env)?.secrets().find(&args.secret) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(e) if e.kind() == Kind::NotFound => Ok(ExitCode::from(1)),
        Err(e) => Err(e),
    }
}
