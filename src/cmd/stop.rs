//! `coracle stop`.

use super::which::Which;
use crate::container::Status;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::runtime::control;
use crate::runtime::select::Suits;
use crate::ui;
use std::process::ExitCode;
use std::time::Instant;

/// Arguments of `stop`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: Which,
    /// Seconds to wait before killing; -1 waits forever
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
    let begun = Instant::now();
    let mut asked = Vec::new();
    for (name, found) in chosen {
        let found = found.and_then(|container| {
            if container.status() == Status::Paused {
                // It could not act on the signal.
                return Err(Error::new(Kind::Conflict, format!("container {name} is paused")).hint(format!(
                    "Let it go on first: coracle unpause {name}; or end it: coracle kill {name}"
                )));
            }
            let (signal, patience) = control::manner(&container, args.time);
            control::ask_to_stop(&container, signal)?;
            Ok((container, patience))
        });
        asked.push((name, found));
    }
    ui::each(asked, |(name, found)| {
        let (container, patience) = found?;
        let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        control::finish_stop(&store, &container, left)?;
        Ok(Some(name))
    })
}
