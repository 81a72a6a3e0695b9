//! `coracle manifest exists`.

use crate::engine::lists;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `manifest exists`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or id of a manifest list
    #[arg(value_name = "LIST")]
    pub list: String,
}

/// Says by the exit code whether a manifest list is here: 0 when it is, 1 when not.
///
/// # Errors
/// A name that is an image's, or a store that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let exists = lists::exists(&crate::cmd::store(env)?, &args.list)?;
    Ok(ExitCode::from(u8::from(!exists)))
}
