//! `coracle volume exists`.

use crate::container::Name;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `volume exists`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Volume
    #[arg(value_name = "VOLUME")]
    pub volume: String,
}

/// Exit code 0 when there is a volume of this name, else 1.
///
/// # Errors
/// When its record cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let found = match args.volume.parse::<Name>() {
        Ok(name) => store.volumes().get(&name)?.is_some(),
        Err(_) => false,
    };
    Ok(ExitCode::from(u8::from(!found)))
}
