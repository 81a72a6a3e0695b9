//! `coracle rename`.

use crate::container::ContainerName;
use crate::engine::containers;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `rename`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// New name
    #[arg(value_name = "NEW")]
    pub name: ContainerName,
}

/// Renames a container, running or not. Its host name stays.
///
/// # Errors
/// A container that does not exist, or a name that is taken.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    containers::rename(&super::store(env)?, &args.container, &args.name.0)?;
    Ok(ExitCode::SUCCESS)
}
