//! `coracle pod exists`.

use crate::error::{Kind, Result};
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `pod exists`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pod by name, id or beginning of an id
    #[arg(value_name = "POD")]
    pub pod: String,
}

/// Says by the exit code whether the pod exists.
///
/// # Errors
/// When the store cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    match store.pods().find_id(&args.pod) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(e) if e.kind() == Kind::NotFound => Ok(ExitCode::FAILURE),
        Err(e) => Err(e),
    }
}
