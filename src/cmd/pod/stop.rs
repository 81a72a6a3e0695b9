//! `coracle pod stop`.

use super::which::{self, WhichWithFiles};
use crate::engine::pods;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `pod stop`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which pods.
    #[command(flatten)]
    pub which: WhichWithFiles,
    /// Ignore pods that do not exist
    #[arg(short, long, help_heading = "Which pods")]
    pub ignore: bool,
    /// Seconds to wait before killing; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS",
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
}

/// Stops the containers of pods, all of a pod at the same time.
///
/// # Errors
/// A pod that does not exist; what fails with single containers is reported.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let chosen = args.which.chosen(&store, args.ignore, which::runs)?;
    which::each(chosen, |pod| pods::stop(&store, pod, args.time))
}
