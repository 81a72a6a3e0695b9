//! `coracle container prune`.

use crate::cmd::pruned;
use crate::engine::containers::selector::Filters;
use crate::engine::{containers, prune};
use crate::error::{FAILED, Result};
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `container prune`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Remove only containers that match a condition: until, label, label! and others of ps
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Removes the containers that are not running, and prints their ids.
///
/// # Errors
/// A wrong filter; failures of single containers are reported here.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let filters = Filters::parse(&args.filter)?;
    let question = "WARNING! This will remove all containers that are not running.\n\
                    Are you sure you want to continue? [y/N] ";
    if !args.force && !ui::confirm(question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut failed = Vec::new();
    pruned::one_kind(&store, "Containers", || {
        let (gone, others) = prune::containers(&store, filters)?;
        failed = others;
        Ok(gone.iter().map(ToString::to_string).collect())
    })?;
    failed.iter().for_each(ui::report);
    let code = if failed.is_empty() { 0 } else { FAILED };
    containers::tidy(&store);
    Ok(ExitCode::from(code))
}
