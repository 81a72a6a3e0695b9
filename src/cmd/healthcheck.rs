//! `coracle healthcheck ...`.

use super::verbs::verbs;
use crate::engine::containers::health::{self, Verdict};
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Exit code of a check that failed (podman-healthcheck-run(1)).
const FAILED: u8 = 1;

verbs! {
    /// What can be done with health checks.
    pub enum Verb of Args {
        /// Run the health check of a container now
        Run(RunArgs),
    }
}

/// Arguments of `healthcheck run`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct RunArgs {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Exit with 0 also if the check fails
    #[arg(long)]
    pub ignore_result: bool,
}

/// Runs a verb of `healthcheck`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let Verb::Run(args) = &args.verb;
    let store = super::store(env)?;
    let word = match health::check(&store, &store.containers().find(&args.container)?)? {
        Verdict::Passed => return Ok(ExitCode::SUCCESS),
        Verdict::Failed => "unhealthy",
        Verdict::Stopped => "stopped",
    };
    ui::out(&format!("{word}\n"))?;
    Ok(if args.ignore_result { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
