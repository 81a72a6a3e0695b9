//! `coracle system check`.

use crate::engine::check::{CheckRequest, check};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::text::time;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `system check`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// With --repair: also remove damaged containers, and those of damaged images
    #[arg(short, long)]
    pub force: bool,
    /// Keep layers that have been unused for less than this
    #[arg(short, long, value_name = "DURATION", default_value = "24h")]
    pub max: String,
    /// Do not verify the contents of blobs
    #[arg(short, long)]
    pub quick: bool,
    /// Repair the store: remove leftovers, and move aside what cannot be repaired
    #[arg(short, long)]
    pub repair: bool,
}

/// Looks for damage in the store; with `--repair` removes what is damaged.
///
/// # Errors
/// [`Kind::Storage`] when there is damage that was not repaired; a store that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let request = CheckRequest {
        repair: args.repair,
        force: args.force,
        quick: args.quick,
        unused_since: time::moment(&args.max)?,
    };
    let report = check(&store, request)?;
    ui::out(&report.lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    let left = report.left();
    if left == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let hint = match args.repair {
        false => "Remove what is damaged: coracle system check --repair",
        true => {
            "Also remove containers that are damaged or use damaged images: coracle system check --repair \
             --force"
        }
    };
    Err(Error::new(Kind::Storage, format!("the store has {left} damaged objects")).hint(hint))
}
