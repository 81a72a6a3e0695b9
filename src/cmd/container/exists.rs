//! `coracle container exists`.

use crate::engine::containers;
use crate::error::{Kind, Result};
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `container exists`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Accepted for compatibility with podman: the store has no containers of other tools
    #[arg(long, hide = true)]
    pub external: bool,
}

/// Says by the exit code whether a container exists: 0 it does, 1 it does not.
///
/// # Errors
/// When the store cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    match containers::find(&store, &args.container) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == Kind::NotFound => Ok(ExitCode::FAILURE),
        Err(error) => Err(error),
    }
}
