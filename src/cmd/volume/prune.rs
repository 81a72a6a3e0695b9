//! `coracle volume prune`.

use crate::engine::volumes::filter::Filters;
use crate::engine::{containers, prune, volumes};
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `volume prune`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Remove only volumes that match a condition: label, label!, until and the others of volume ls
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub filter: Vec<String>,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Named volumes too, as is done anyway
    #[arg(short, long, hide = true)]
    pub all: bool,
}

/// Removes the volumes that no container uses and prints their names.
///
/// # Errors
/// A wrong filter, or a volume that cannot be removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let filters = Filters::parse(&args.filter)?;
    let unused = prune::unused_volumes(&store, &filters)?;
    if !args.force {
        let mut question = String::from(
            "WARNING! This will remove all volumes not used by at least one container. The following volumes will be removed:\n",
        );
        if unused.is_empty() {
            ui::out(&(question + "No dangling volumes found\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        unused.iter().for_each(|volume| question.push_str(&format!("{}\n", volume.name)));
        if !ui::confirm(&(question + "Are you sure you want to continue? [y/N] "))? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    for name in volumes::remove_unused(&store, &unused)? {
        ui::out(&format!("{name}\n"))?;
    }
    containers::tidy(&store);
    Ok(ExitCode::SUCCESS)
}
