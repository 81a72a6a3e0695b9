//! `coracle system prune`.

use super::df;
use crate::engine::containers::selector;
use crate::engine::{containers, images, prune, volumes};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::storage::measure::Sizes;
use crate::storage::{Store, trash};
use crate::text::units;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `system prune`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Remove all images without containers, not only those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Remove volumes that no container uses, too
    #[arg(long)]
    pub volumes: bool,
    /// Remove only what matches a condition: label=..., label!=... or until=TIME
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Remove only leftovers of interrupted commands
    #[arg(long)]
    pub external: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Removes containers that do not run, images that nobody needs and, if asked, volumes.
///
/// # Errors
/// A wrong filter; nobody to answer the question; something that cannot be removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    prune::check_keys(&args.filter)?;
    if args.external && (args.all || args.volumes || !args.filter.is_empty()) {
        return Err(Error::new(Kind::Usage, "--external excludes --all, --volumes and --filter")
            .hint("It is for what interrupted commands left: coracle system prune --external"));
    }
    let store = crate::cmd::store(env)?;
    let filters = selector::Filters::parse(&args.filter)?;
    let of_images = images::filter::Filters::parse(&args.filter, &store)?;
    let of_volumes = volumes::filter::Filters::parse(&args.filter)?;
    if !args.force && !ui::confirm(&question(args))? {
        return Ok(ExitCode::SUCCESS);
    }
    let before = df::sizes(&store)?;
    trash::collect_leftovers(&store)?;
    let mut text = String::new();
    let mut list = |title: &str, names: Vec<String>| {
        if !names.is_empty() {
            text.push_str(&format!("Deleted {title}\n{}\n", names.join("\n")));
        }
    };
    if !args.external {
        list("Containers", containers(&store, filters)?);
        if args.volumes {
            list("Volumes", unused_volumes(&store, &of_volumes)?);
        }
        let lock = store.exclusive()?;
        let gone = store.images().prune(&lock, args.all, |listed| of_images.accepts(listed))?;
        drop(lock);
        list("Images", gone.iter().map(|id| id.hex().to_owned()).collect());
    }
    containers::sweep(&store)?;
    let freed = total(&before).saturating_sub(total(&df::sizes(&store)?));
    ui::out(&format!("{text}Total reclaimed space: {}\n", units::size(freed)))?;
    Ok(ExitCode::SUCCESS)
}

/// Without what running containers may write meanwhile.
fn total(sizes: &Sizes) -> u64 {
    sizes.values().sum()
}

fn question(args: &Args) -> String {
    let mut text = String::from("WARNING! This command removes:\n");
    let mut add = |what: &str| text.push_str(&format!("\t- {what}\n"));
    if !args.external {
        add("all stopped containers");
        if args.volumes {
            add("all volumes not used by at least one container");
        }
        add(match args.all {
            true => "all images without at least one container associated with them",
            false => "all dangling images",
        });
    }
    add("what interrupted commands left behind");
    for filter in &args.filter {
        add(&format!("(only what meets {filter})"));
    }
    text + "\nAre you sure you want to continue? [y/N] "
}

fn containers(store: &Store, filters: selector::Filters) -> Result<Vec<String>> {
    let (gone, failed) = prune::containers(store, filters)?;
    match failed.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(gone.iter().map(ToString::to_string).collect()),
    }
}

fn unused_volumes(store: &Store, filters: &volumes::filter::Filters) -> Result<Vec<String>> {
    let removed = volumes::remove_unused(store, &prune::unused_volumes(store, filters)?)?;
    Ok(removed.iter().map(ToString::to_string).collect())
}
