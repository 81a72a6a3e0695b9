//! `coracle network exists`.

use crate::error::{Kind, Result};
use crate::host::Env;
use crate::view::network;
use std::process::ExitCode;

/// Arguments of `network exists`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Network by name, id or beginning of an id
    #[arg(value_name = "NETWORK")]
    pub network: String,
}

/// Exit code 0 when there is a network of this name or id, else 1.
///
/// # Errors
/// When its record cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    match store.networks().find(network::meant(&args.network, crate::cmd::dialect())) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(e) if e.kind() == Kind::NotFound => Ok(ExitCode::from(1)),
        Err(e) => Err(e),
    }
}
