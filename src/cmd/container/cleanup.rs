//! `coracle container cleanup`.

use crate::cmd::options::selection::SelectorArgs;
use crate::engine::containers;
use crate::engine::containers::cleanup::{CleanupRequest, cleanup, forget_exec};
use crate::engine::containers::selector::StatusFilter;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `container cleanup`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
    /// Remove the record of this exec session
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub exec: Option<String>,
    /// Also remove the containers
    #[arg(long)]
    pub rm: bool,
    /// Also remove their images, unless other containers use them
    #[arg(long, conflicts_with = "exec")]
    pub rmi: bool,
}

/// Finishes what a monitor that was killed left of a container. Every verb does so by itself; this one
/// does nothing else.
///
/// # Errors
/// A container that does not exist or that runs.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let mut chosen = args.which.chosen(&store, StatusFilter::Ended)?;
    if let (Some(exec), [(_, _)]) = (&args.exec, chosen.as_slice()) {
        let (_, found) = chosen.remove(0);
        forget_exec(&found?, exec)?;
        return Ok(ExitCode::SUCCESS);
    }
    let remove = CleanupRequest { container: args.rm, image: args.rmi };
    let code = ui::each(chosen, |(name, found)| {
        cleanup(&store, &found?, remove)?;
        Ok(Some(name))
    })?;
    containers::tidy(&store);
    Ok(code)
}
