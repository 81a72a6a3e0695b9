//! `coracle logs`.

use super::options::lines::{self, LineArgs, LineLook};
use crate::engine::containers::logs::Logs;
use crate::engine::containers::selector::ContainerSelector;
use crate::error::Result;
use crate::host::Env;
use crate::storage::containers::ContainerDir;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `logs`.
#[derive(Debug, Default, clap::Args)]
#[command(
    mut_args = crate::cmd::options::switch::switchable,
    mut_arg("tail", |arg| if ui::docker() { arg.short('n') } else { arg }),
    mut_arg("names", |arg| if ui::docker() { arg.short(None) } else { arg })
)]
pub struct Args {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Show the log of the latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Follow the log until the container exits
    #[arg(short, long)]
    pub follow: bool,
    /// Which lines.
    #[command(flatten)]
    pub lines: LineArgs,
    /// With several containers, prefix lines with the name instead of the id
    #[arg(short, long)]
    pub names: bool,
    /// With several containers, show each in its own colour
    #[arg(long)]
    pub color: bool,
    /// Accepted for compatibility with docker: no log has extra attributes
    #[arg(long, hide = true)]
    pub details: bool,
}

/// Shows what containers wrote to standard output and standard error.
///
/// # Errors
/// A container that does not exist or keeps no log.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let request = args.lines.request(args.follow)?;
    let selection =
        ContainerSelector { names: &args.containers, latest: args.latest, ..ContainerSelector::default() };
    let chosen: Result<Vec<ContainerDir>> =
        selection.containers(&store)?.into_iter().map(|(_, found)| found).collect();
    let chosen = chosen?;
    let look = LineLook { names: args.names, color: args.color, timestamps: args.lines.timestamps };
    let names = if chosen.len() < 2 { &[][..] } else { &chosen[..] };
    let prefixes = lines::prefixes(&look, names)?;
    lines::show(Logs::open(&store, chosen, request)?, &look, prefixes)
}
