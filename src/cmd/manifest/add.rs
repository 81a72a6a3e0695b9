//! `coracle manifest add`.

use super::entry::{ArtifactArgs, EntryArgs};
use crate::cmd::options::pulling::pulling;
use crate::cmd::options::source::RegistryOptions;
use crate::engine::lists::Source;
use crate::error::Result;
use crate::host::Env;
use crate::image::Platform;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `manifest add`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name or id of a manifest list
    #[arg(value_name = "LIST")]
    pub list: String,
    /// Images: a name or id of the store, or a name in a registry; containers-storage:NAME or docker://NAME for one
    /// of both only
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<Source>,
    /// Of an image that is a manifest list, add everything that it has
    #[arg(long)]
    pub all: bool,
    /// What the entry says.
    #[command(flatten)]
    pub entry: EntryArgs,
    /// What is refused.
    #[command(flatten)]
    pub artifacts: ArtifactArgs,
    /// How to talk to registries.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// Adds images to a list and prints its id.
///
/// # Errors
/// A list or an image that is not there; the list is what it was then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let engine = crate::cmd::store::engine(&store, env);
    let request = args.registry.request(Platform::host());
    let id = pulling(true, |report| {
        engine.add_to_list(&args.list, (&args.images, args.all), &args.entry.wanted(), &request, report)
    })?;
    ui::out(&format!("{}\n", id.hex()))?;
    Ok(ExitCode::SUCCESS)
}
