//! `coracle image exists`.

use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `image exists`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or id of an image
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// Says by the exit code whether an image is here: 0 when it is, 1 when not.
///
/// # Errors
/// A text that cannot be a name, or a store that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let found = super::super::store(env)?.images().find_to_remove(&args.image)?;
    Ok(ExitCode::from(u8::from(found.is_none())))
}
