//! `coracle kill`.

use crate::container::Signal;
use crate::error::Result;
use crate::host::Env;
use crate::runtime::control;
use crate::runtime::select::{Selection, Suits};
use crate::ui;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `kill`.
#[derive(Debug, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Signal all running and paused containers
    #[arg(short, long, help_heading = "Which containers")]
    pub all: bool,
    /// Signal the latest container
    #[arg(short, long, help_heading = "Which containers")]
    pub latest: bool,
    /// Read the id of a container from this file
    #[arg(long, value_name = "FILE", help_heading = "Which containers")]
    pub cidfile: Vec<PathBuf>,
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
    let selection = Selection {
        names: &args.containers,
        latest: args.latest,
        cidfiles: &args.cidfile,
        all: args.all,
        suits: Suits::Live,
        ..Selection::default()
    };
    ui::each(selection.containers(&store)?, |(name, found)| {
        let container = found?;
        control::signal(&container, args.signal.number())?;
        if args.signal == Signal::KILL {
            // There is one way this ends, so what comes next may rely on it.
            control::kill(&store, &container)?;
        }
        Ok(Some(name))
    })
}
