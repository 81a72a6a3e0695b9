//! `coracle init`.

use crate::cmd::options::selection::SelectorArgs;
use crate::engine::containers;
use crate::engine::containers::selector::StatusFilter;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
}

/// Prepares what a start needs other than a process: volumes, helpers, the seccomp filter, and that its
/// ports are free. Nothing is held afterwards, so the container stays as it was. A running one is ignored.
///
/// # Errors
/// A container that does not exist, or whose start would be refused.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    ui::each(args.which.chosen(&store, StatusFilter::Ended)?, |(name, found)| {
        containers::init(&store, &found?)?;
        Ok(Some(name))
    })
}
