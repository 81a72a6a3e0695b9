//! `coracle pod start`.

use super::which::{self, WhichWithFiles};
use crate::engine::pods::{self, PodState};
use crate::error::{Kind, Result};
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `pod start`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which pods.
    #[command(flatten)]
    pub which: WhichWithFiles,
}

/// Starts the containers of pods that do not run.
///
/// # Errors
/// A pod that does not exist; what fails with single containers is reported.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let chosen = args.which.chosen(&store, false, |pod| pod.state != PodState::Running)?;
    // As in podman, what was to be run does not matter.
    let code = which::each(chosen, |pod| pods::start(&store, pod).map_err(|e| e.of_kind(Kind::Runtime)))?;
    crate::cmd::linger::warn(env);
    Ok(code)
}
