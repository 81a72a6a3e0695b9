//! `coracle stop`.

use crate::cmd::options::selection::SelectorArgs;
use crate::container::Signal;
use crate::engine::containers;
use crate::engine::containers::selector::StatusFilter;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `stop`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
    /// Seconds to wait before killing; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS",
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
    /// Signal to send first, instead of the container's stop signal
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<Signal>,
}

/// Stops containers, all at the same time.
///
/// # Errors
/// A container that does not exist or cannot be signalled.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let chosen = args.which.chosen(&store, StatusFilter::Running)?;
    let mut stopping = containers::Stopping::new(&store);
    let mut asked = Vec::new();
    for (name, found) in chosen {
        asked.push((name, found.and_then(|container| stopping.begin(container, args.signal, args.time))));
    }
    ui::each(asked, |(name, index)| {
        let index = index?;
        stopping.finish(index)?;
        ui::warn(stopping.warning(index).as_slice());
        Ok(Some(name))
    })
}
