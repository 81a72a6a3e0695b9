//! `coracle network prune`.

use crate::cmd::pruned;
use crate::engine::networks::filter::Filters;
use crate::engine::{containers, networks, prune};
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `network prune`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Remove only networks that match a condition: label=..., label!=... or until=TIME
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub filter: Vec<String>,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Removes the networks that no container is on and prints their names.
///
/// # Errors
/// A wrong filter, or a network that cannot be removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    prune::check_keys(&args.filter, "")?;
    let filters = Filters::parse(&args.filter)?;
    let store = crate::cmd::store(env)?;
    let question = match ui::docker() {
        true => {
            "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue? [y/N] "
        }
        false => {
            "WARNING! This will remove all networks not used by at least one container.\nAre you sure you want to continue? [y/N] "
        }
    };
    if !args.force && !ui::confirm(question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let kept = crate::cmd::dialect::networks_kept_for();
    let unused = networks::unused(&store, &filters, kept)?;
    let removed = networks::remove_unused(&store, &unused, kept)?;
    let text = match ui::docker() {
        true => pruned::list("Networks", &removed),
        false => removed.iter().map(|name| format!("{name}\n")).collect(),
    };
    ui::out(&text)?;
    containers::tidy(&store);
    Ok(ExitCode::SUCCESS)
}
