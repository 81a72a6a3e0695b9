//! `coracle pod pause` and `coracle pod unpause`.

use super::which::{self, WhichArgs};
use crate::container::Status;
use crate::engine::pods::{self, ListedPod};
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `pod pause` and `pod unpause`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which pods.
    #[command(flatten)]
    pub which: WhichArgs,
}

/// Freezes the running containers of pods.
///
/// # Errors
/// A pod that does not exist; what fails with single containers is reported.
pub fn pause(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let chosen = args.which.chosen(&store, which::runs)?;
    which::each(chosen, |pod| pods::pause(&store, pod))
}

/// Thaws the paused containers of pods.
///
/// # Errors
/// As [`pause`].
pub fn unpause(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let has_paused = |pod: &ListedPod| pod.containers.iter().any(|one| one.status == Status::Paused);
    let chosen = args.which.chosen(&store, has_paused)?;
    which::each(chosen, |pod| pods::unpause(&store, pod))
}
