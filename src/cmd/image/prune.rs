//! `coracle image prune`.

use crate::cmd::pruned;
use crate::engine::images::filter::Filters;
use crate::engine::{build_cache, containers, prune};
use crate::error::Result;
use crate::host::Env;
use crate::storage::trash;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `image prune`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Remove only images that match a condition: label=..., label!=..., until=TIME or dangling=BOOL; dangling=false
    /// is --all
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Also remove what builds have cached
    #[arg(long)]
    pub build_cache: bool,
    /// Also remove images that builds use; no effect, as builds leave no containers
    #[arg(long)]
    pub external: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Removes images that nobody needs and prints their ids.
///
/// # Errors
/// A wrong filter, or an image that cannot be removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let (dangling, others): (Vec<String>, Vec<String>) =
        args.filter.iter().cloned().partition(|text| text.starts_with("dangling="));
    prune::check_keys(&others, ", dangling=BOOL")?;
    let store = crate::cmd::store(env)?;
    let filters = Filters::parse(&others, &store)?;
    let all = match dangling.last() {
        Some(text) => !Filters::boolean(text)?,
        None => args.all,
    };
    let what = if all {
        "all images without at least one container associated to them"
    } else {
        "all dangling images"
    };
    let question = format!("WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ");
    if !args.force && !ui::confirm(&question)? {
        return Ok(ExitCode::SUCCESS);
    }
    pruned::one_kind(&store, "Images", || {
        containers::settle_all(&store)?;
        trash::collect_leftovers(&store)?;
        store.blobs().remove_partials()?;
        let lock = store.exclusive()?;
        let gone = store.images().prune(&lock, all, |listed| filters.accepts(listed))?;
        Ok(gone.iter().map(pruned::image).collect())
    })?;
    if args.build_cache {
        let pruned =
            build_cache::prune(&store, &build_cache::PruneRequest { all: true, ..Default::default() })?;
        ui::out(&pruned.records.iter().map(|record| format!("{}\n", record.id)).collect::<String>())?;
    }
    containers::tidy(&store);
    Ok(ExitCode::SUCCESS)
}
