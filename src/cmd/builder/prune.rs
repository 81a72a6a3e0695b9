//! `coracle builder prune`, `coracle buildx prune`.

use super::table;
use crate::engine::build_cache::{self, Filters, PruneRequest, Pruned, Space};
use crate::error::Result;
use crate::host::Env;
use crate::plan::units::Size;
use crate::text::units;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `builder prune`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Remove everything that no build uses now, not only what leads to no image
    #[arg(short, long)]
    pub all: bool,
    /// Remove only records that match a condition: until=DURATION (not used for so long), id, type, description,
    /// parents, inuse, mutable, immutable, shared or private
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Keep so much in any case, the records that were used last
    #[arg(long, alias = "keep-storage", value_name = "SIZE")]
    pub reserved_space: Option<Size>,
    /// Keep no more than so much
    #[arg(long, value_name = "SIZE")]
    pub max_used_space: Option<Size>,
    /// Remove until so much is free on the disk, and no more
    #[arg(long, value_name = "SIZE")]
    pub min_free_space: Option<Size>,
    /// Show each removed record in full
    #[arg(long)]
    pub verbose: bool,
    /// Builder, of which there is one
    #[arg(long, hide = true, value_name = "NAME")]
    pub builder: Option<String>,
}

/// Removes what is in the build cache and prints it.
///
/// # Errors
/// A wrong filter; nobody to answer the question; something that cannot be removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let bytes = |size: Option<Size>| size.map(|size| size.0);
    let request = PruneRequest {
        all: args.all,
        unused_since: None,
        space: Space {
            reserved: bytes(args.reserved_space),
            most: bytes(args.max_used_space),
            free: bytes(args.min_free_space),
        },
        filters: Filters::parse(&args.filter)?,
    };
    let what = if args.all { "all build cache" } else { "all dangling build cache" };
    let question = format!("WARNING! This will remove {what}. Are you sure you want to continue? [y/N] ");
    if !args.force && !ui::confirm(&question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let Pruned { records: gone, freed } = build_cache::prune(&crate::cmd::store(env)?, &request)?;
    let text = match (gone.is_empty(), args.verbose) {
        (true, _) => String::new(),
        (false, true) => table::in_full(&gone)?,
        (false, false) => table::table(&gone)?,
    };
    let total = units::size(freed);
    ui::out(&format!("{text}Total:\t{total}\n"))?;
    Ok(ExitCode::SUCCESS)
}
