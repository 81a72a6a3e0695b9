//! `coracle stop`.

use crate::error::{Kind, Result};
use crate::host::Env;
use crate::plan::ContainerPlan;
use crate::runtime::control;
use crate::runtime::select::{Filters, Selection, Suits};
use crate::storage::containers::ContainerDir;
use crate::ui::{self, time};
use chrono::Utc;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Arguments of `stop`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Stop all running containers
    #[arg(short, long, help_heading = "Which containers")]
    pub all: bool,
    /// Stop the latest container
    #[arg(short, long, help_heading = "Which containers")]
    pub latest: bool,
    /// Read the id of a container from this file
    #[arg(long, value_name = "FILE", help_heading = "Which containers")]
    pub cidfile: Vec<PathBuf>,
    /// Stop running containers that meet a condition, as in ps
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Which containers")]
    pub filter: Vec<String>,
    /// Say nothing about containers that do not exist
    #[arg(short, long)]
    pub ignore: bool,
    /// Kill after this many seconds; -1 waits for ever
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
}

/// How to stop a container: its stop signal, and how long it gets.
pub(super) fn manner(container: &ContainerDir, seconds: Option<i64>) -> (i32, Option<Duration>) {
    // A container whose plan is lost is stopped like one that asked for nothing.
    let lifecycle = container.plan::<ContainerPlan>().map(|plan| plan.lifecycle);
    let (signal, own) = lifecycle.map_or((15, 10), |l| (l.stop_signal, l.stop_timeout));
    let seconds = seconds.unwrap_or(i64::from(own));
    (signal, u64::try_from(seconds).ok().map(Duration::from_secs))
}

/// Stops containers, all at the same time.
///
/// # Errors
/// A container that does not exist or cannot be signalled.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let selection = Selection {
        names: &args.containers,
        latest: args.latest,
        cidfiles: &args.cidfile,
        all: args.all,
        filters: Filters::parse(&args.filter, |text| time::parse_time(text, Utc::now()))?,
        suits: Suits::Running,
    };
    let mut chosen = selection.containers(&store)?;
    if args.ignore {
        chosen.retain(|(_, found)| !found.as_ref().is_err_and(|e| e.kind() == Kind::NotFound));
    }
    let begun = Instant::now();
    let mut asked = Vec::new();
    for (name, found) in chosen {
        let found = found.and_then(|container| {
            let (signal, patience) = manner(&container, args.time);
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
