//! `coracle kill`.

use crate::cmd::options::selection::Which;
use crate::container::{Signal, Status};
use crate::engine::containers;
use crate::engine::containers::selector::Suits;
use crate::error::Result;
use crate::host::Env;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `kill`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: Which,
    /// Signal to send, by name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: Signal,
}

/// Sends a signal to the first process of containers.
///
/// # Errors
/// A container that does not exist or does not run.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    ui::each(args.which.chosen(&store, Suits::Live)?, |(name, found)| {
        let container = found?;
        let restarting = container.status() == Status::Restarting;
        if args.signal == Signal::KILL && restarting {
            // What would be killed is the next run.
            containers::kill(&store, &container)?;
            container.emit(Action::Kill);
            return Ok(Some(name));
        }
        if container.status().is_live() && ends(&container, args.signal) {
            containers::note_stop(&container)?;
        }
        containers::signal(&container, args.signal.number())?;
        container.emit(Action::Kill);
        if args.signal == Signal::KILL {
            // There is one way this ends, so what comes next may rely on it.
            containers::kill(&store, &container)?;
        }
        Ok(Some(name))
    })
}

/// Whether a signal is sent to end the container for good, whatever its restart policy; one that is for
/// the payload's own use is not.
fn ends(container: &ContainerDir, signal: Signal) -> bool {
    let stop = containers::stop_policy(container, None).0;
    signal == Signal::KILL || signal == Signal::TERM || signal.number() == stop
}
