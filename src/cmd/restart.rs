//! `coracle restart`.

use crate::cmd::options::selection::SelectorArgs;
use crate::container::Signal;
use crate::engine::containers;
use crate::engine::containers::selector::StatusFilter;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `restart`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
    /// Only running containers
    #[arg(long, help_heading = "Which containers")]
    pub running: bool,
    /// Seconds to wait before killing; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS",
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
    /// Signal to send first, instead of the container's stop signal
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<Signal>,
}

/// Stops containers, all at the same time, and starts them again. Those that are not running are started.
///
/// # Errors
/// A container that does not exist or cannot be stopped or started.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let status = if args.running { StatusFilter::Running } else { StatusFilter::Any };
    let which = &args.which;
    let unnamed = which.containers.is_empty() && which.cidfile.is_empty() && !which.latest;
    let chosen = match args.running && unnamed && which.filter.is_empty() {
        true => SelectorArgs { all: true, ..SelectorArgs::default() }.chosen(&store, status)?,
        false => which.chosen(&store, status)?,
    };
    let mut stopping = containers::Stopping::new(&store);
    let mut asked = Vec::new();
    for (name, found) in chosen {
        asked.push((name, found.and_then(|container| stopping.begin(container, args.signal, args.time))));
    }
    ui::each(asked, |(name, index)| {
        let index = index?;
        let running = stopping.restart(index)?;
        ui::warn(stopping.warning(index).as_slice());
        ui::warn(&running.warnings);
        Ok(Some(name))
    })
}
