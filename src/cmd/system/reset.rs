//! `coracle system reset`.

use crate::engine::reset::reset;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `system reset`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Stops and removes everything: containers, images, volumes and the directories of the store.
///
/// # Errors
/// Nobody to answer the question; a container that cannot be ended, and then nothing else is removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let data = &env.roots.data;
    let question = format!(
        "WARNING! This will remove:\n\
         \x20       - all containers\n\
         \x20       - all images\n\
         \x20       - all volumes\n\
         \x20       - all secrets\n\
         \x20       - the graphRoot directory: \"{}\"\n\
         \x20       - the runRoot directory: \"{}\"\n\
         Are you sure you want to continue? [y/N] ",
        data.display(),
        env.roots.runtime.display()
    );
    if !args.force && !ui::confirm(&question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let store = crate::cmd::store(env)?;
    reset(&store, &env.roots)?;
    Ok(ExitCode::SUCCESS)
}
