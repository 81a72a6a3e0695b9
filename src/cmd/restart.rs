//! `coracle restart`.

use super::which::Which;
use crate::engine::containers;
use crate::engine::containers::selector::Suits;
use crate::engine::containers::start;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::storage::events::Action;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `restart`.
#[derive(Debug, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: Which,
    /// Only those that run
    #[arg(long, help_heading = "Which containers")]
    pub running: bool,
    /// Kill after this many seconds; -1 waits for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
}

/// Stops containers, all at the same time, and starts them again. Those that do not run are started.
///
/// # Errors
/// A container that does not exist or cannot be stopped or started.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let suits = if args.running { Suits::Running } else { Suits::Any };
    let which = &args.which;
    let unnamed = which.containers.is_empty() && which.cidfile.is_empty() && !which.latest;
    let chosen = match args.running && unnamed && which.filter.is_empty() {
        true => Which { all: true, ..Which::default() }.chosen(&store, suits)?,
        false => which.chosen(&store, suits)?,
    };
    let mut stopping = containers::Stopping::new(&store);
    let asked: Vec<_> = chosen
        .into_iter()
        .map(|(name, found)| {
            let index = found.and_then(|dir| {
                if dir.status() == crate::container::Status::Paused {
                    return Err(Error::new(Kind::Conflict, format!("container {name} is paused"))
                        .hint(format!("Let it go on first: coracle unpause {name}")));
                }
                let (signal, patience) = containers::stop_policy(&dir, args.time);
                stopping.ask(dir, signal, patience)
            });
            (name, index)
        })
        .collect();
    ui::each(asked, |(name, index)| {
        let index = index?;
        stopping.finish(index)?;
        let dir = stopping.container(index);
        start::start(&store, dir, None)?;
        dir.emit(Action::Restart);
        Ok(Some(name))
    })
}
