//! `coracle pause` and `coracle unpause`.

use crate::cmd::options::selection::SelectorArgs;
use crate::engine::containers;
use crate::engine::containers::selector::StatusFilter;
use crate::error::{Error, Result};
use crate::host::Env;
use crate::storage::containers::ContainerDir;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `pause` and `unpause`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("ignore", |arg| arg.hide(true)))]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
}

/// Freezes the processes of containers.
///
/// # Errors
/// A container that does not exist or does not run, a host that lets this account have no cgroup.
pub fn pause(args: &Args, env: &Env) -> Result<ExitCode> {
    each(args, StatusFilter::Running, env, containers::pause)
}

/// Unpauses containers.
///
/// # Errors
/// A container that does not exist or is not paused.
pub fn unpause(args: &Args, env: &Env) -> Result<ExitCode> {
    each(args, StatusFilter::Paused, env, containers::unpause)
}

fn each(
    args: &Args,
    status: StatusFilter,
    env: &Env,
    act: impl Fn(&ContainerDir) -> Result<(), Error>,
) -> Result<ExitCode> {
    let store = super::store(env)?;
    ui::each(args.which.chosen(&store, status)?, |(name, found)| {
        act(&found?)?;
        Ok(Some(name))
    })
}
