//! `coracle pod prune`.

use crate::engine::containers;
use crate::engine::pods::{self, filter::Filters};
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `pod prune`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Removes the pods whose containers have all ended and prints their ids.
///
/// # Errors
/// Nobody to answer the question; pods that cannot be listed. What fails with single ones is reported.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let question =
        "WARNING! This will remove all stopped/exited pods..\nAre you sure you want to continue? [y/N] ";
    if !args.force && !ui::confirm(question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let (gone, failed) = pods::prune(&store, &Filters::default())?;
    ui::out(&gone.iter().map(|id| format!("{id}\n")).collect::<String>())?;
    containers::tidy(&store);
    ui::each(failed, Err)
}
