//! `coracle manifest remove`.

use crate::engine::lists;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `manifest remove`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or id of a manifest list
    #[arg(value_name = "LIST")]
    pub list: String,
    /// Entries of the list: digests of their manifests, or names or ids of the images
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// Takes images out of a list and prints its id.
///
/// # Errors
/// A list that is not there, an entry that it does not have; the list is what it was then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let id = lists::remove_entries(&crate::cmd::store(env)?, &args.list, &args.images)?;
    ui::out(&format!("{}\n", id.hex()))?;
    Ok(ExitCode::SUCCESS)
}
