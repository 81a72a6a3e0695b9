//! `coracle pod restart`.

use super::which::{self, WhichArgs};
use crate::engine::pods;
use crate::error::{Kind, Result};
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `pod restart`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which pods.
    #[command(flatten)]
    pub which: WhichArgs,
}

/// Stops the containers of pods and starts them again; those that do not run are started.
///
/// # Errors
/// A pod that does not exist; what fails with single containers is reported.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let chosen = args.which.chosen(&store, |_| true)?;
    which::each(chosen, |pod| pods::restart(&store, pod, None).map_err(|e| e.of_kind(Kind::Runtime)))
}
