//! `coracle pod kill`.

use super::which::{self, WhichArgs};
use crate::container::Signal;
use crate::engine::pods;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `pod kill`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which pods.
    #[command(flatten)]
    pub which: WhichArgs,
    /// Signal to send, by name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: Signal,
}

/// Sends a signal to the running containers of pods.
///
/// # Errors
/// A pod that does not exist; what fails with single containers is reported.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let chosen = args.which.chosen(&store, which::runs)?;
    which::each(chosen, |pod| pods::kill(&store, pod, args.signal))
}
