//! `coracle stop`.

use super::which::Which;
use crate::container::Status;
use crate::engine::containers;
use crate::engine::containers::selector::Suits;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `stop`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: Which,
    /// Kill after this many seconds; -1 waits for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
}

/// Stops containers, all at the same time.
///
/// # Errors
/// A container that does not exist or cannot be signalled.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let chosen = args.which.chosen(&store, Suits::Running)?;
    let mut stopping = containers::Stopping::new(&store);
    let asked: Vec<_> = chosen
        .into_iter()
        .map(|(name, found)| {
            let index = found.and_then(|container| {
                if container.status() == Status::Paused {
                    // It could not act on the signal.
                    return Err(Error::new(Kind::Conflict, format!("container {name} is paused")).hint(
                        format!("Let it go on first: coracle unpause {name}; or end it: coracle kill {name}"),
                    ));
                }
                let (signal, patience) = containers::stop_policy(&container, args.time);
                stopping.ask(container, signal, patience)
            });
            (name, index)
        })
        .collect();
    ui::each(asked, |(name, index)| {
        stopping.finish(index?)?;
        Ok(Some(name))
    })
}
