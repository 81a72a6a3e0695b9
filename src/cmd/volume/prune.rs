//! `coracle volume prune`.

use crate::cmd::pruned;
use crate::engine::filter::Condition;
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
    /// Remove only volumes that match a condition: all, label, label!, until and the others of volume ls
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub filter: Vec<String>,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Remove named volumes too, not only anonymous ones
    #[arg(short, long)]
    pub all: bool,
    /// Print the names of the volumes and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Removes the volumes that no container uses and prints their names.
///
/// # Errors
/// A wrong filter, or a volume that cannot be removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let (all, filters) = conditions(args)?;
    let unused = prune::unused_volumes(&store, &filters)?;
    if args.dry_run {
        ui::out(&unused.iter().map(|volume| format!("{}\n", volume.name)).collect::<String>())?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.force {
        let which = if all { "all volumes" } else { "all anonymous volumes" };
        let mut question = format!(
            "WARNING! This will remove {which} not used by at least one container. The following volumes will be removed:\n",
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
    pruned::one_kind(&store, "Volumes", || {
        Ok(volumes::remove_unused(&store, &unused)?.iter().map(ToString::to_string).collect())
    })?;
    containers::tidy(&store);
    Ok(ExitCode::SUCCESS)
}

/// Whether named volumes go too, and the conditions: named ones have to be asked for.
fn conditions(args: &Args) -> Result<(bool, Filters)> {
    let key = |text: &String| text.split('=').next().unwrap_or_default().to_owned();
    let (of_all, mut texts): (Vec<String>, Vec<String>) =
        args.filter.iter().cloned().partition(|text| key(text) == "all");
    let mut all = args.all || texts.iter().any(|text| key(text) == "anonymous");
    for text in &of_all {
        all |= Condition::parse(text, "Write all=true or all=false.")?.boolean()?;
    }
    if !all {
        texts.push("anonymous=true".to_owned());
    }
    Ok((all, Filters::parse(&texts)?))
}
