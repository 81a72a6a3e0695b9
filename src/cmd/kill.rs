//! `coracle kill`.

use crate::cmd::options::selection::SelectorArgs;
use crate::container::Signal;
use crate::engine::containers;
use crate::engine::containers::selector::StatusFilter;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `kill`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
    /// Signal to send, by name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: Signal,
}

/// Sends a signal to the first process of containers.
///
/// # Errors
/// A container that does not exist or does not run.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    ui::each(args.which.chosen(&store, StatusFilter::Live)?, |(name, found)| {
        containers::kill_with(&store, &found?, args.signal)?;
        Ok(Some(name))
    })
}
