//! `coracle image scp`.

use crate::cmd::options::transfer;
use crate::engine::images::scp::{self, Copy, Place, Step};
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use crate::ui::progress::Progress;
use std::process::ExitCode;

/// Arguments of `image scp`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Image to copy: IMAGE, HOST::IMAGE or USER@localhost::IMAGE
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Where to copy it: HOST:: or USER@localhost::, with a new name for it behind if wanted
    #[arg(value_name = "DESTINATION")]
    pub destination: Option<String>,
    /// Do not show progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Copies an image to or from another machine or user, and prints the names that it has there.
///
/// # Errors
/// Malformed places, an image that is not there, a side that cannot be reached or fails.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let source = Place::parse(&args.source)?;
    let destination = args.destination.as_deref().map(Place::parse).transpose()?;
    let copy = Copy::new(source, destination)?;
    let store = crate::cmd::store(env)?;
    let engine = crate::cmd::store::engine(&store, env);
    let progress = Progress::new(args.quiet);
    let mut bar = None;
    let names = scp::scp(&engine, &copy, &mut |step| match step {
        Step::Bytes(done) => bar.get_or_insert_with(|| progress.bar(&copy.label(), None)).set(done),
        Step::Loading(step) => transfer::loading(&progress, crate::cmd::dialect(), &step),
    })?;
    if let Some(bar) = bar {
        bar.finish("done");
    }
    drop(progress);
    for name in names {
        ui::out(&format!("Loaded image: {name}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
