//! `coracle network reload`.

use crate::cmd::options::selection::SelectorArgs;
use crate::engine::containers::selector::StatusFilter;
use crate::engine::networks;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `network reload`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("ignore", |arg| arg.hide(true)))]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
}

/// Repairs the networks of running containers, and prints the containers' ids.
///
/// # Errors
/// A container that does not exist or run, or has no network to repair.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    ui::each(args.which.chosen(&store, StatusFilter::Running)?, |(_, found)| {
        let found = found?;
        // All means those that can be.
        if args.which.all && !networks::can_reload(&found) {
            return Ok(None);
        }
        networks::reload(&found)?;
        Ok(Some(found.id().to_string()))
    })
}
