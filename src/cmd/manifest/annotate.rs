//! `coracle manifest annotate`.

use super::entry::EntryArgs;
use crate::cmd::options::refused::{Never, because};
use crate::engine::lists;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `manifest annotate`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name or id of a manifest list
    #[arg(value_name = "LIST")]
    pub list: String,
    /// Entry of the list: the digest of its manifest, or the name or id of the image
    #[arg(value_name = "IMAGE", required_unless_present = "index")]
    pub image: Option<String>,
    /// The annotations are those of the list itself
    #[arg(long)]
    pub index: bool,
    /// What the entry says.
    #[command(flatten)]
    pub entry: EntryArgs,
    /// What the list is about
    #[arg(long, hide = true, value_parser = because(
        "a manifest list refers to nothing but its images here", "Leave it out."))]
    pub subject: Option<Never>,
}

/// Changes what a list says and prints its id; nothing when called as docker.
///
/// # Errors
/// A list that is not there, an entry that it does not have; the list is what it was then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if args.index && args.entry.names_platform() {
        return Err(Error::new(
            Kind::Usage,
            "with --index only --annotation can be used: a list is for no platform",
        )
        .hint("Name an entry instead: coracle manifest annotate LIST IMAGE --arch ARCH"));
    }
    let store = crate::cmd::store(env)?;
    let entry = args.image.as_deref().filter(|_| !args.index);
    let id = lists::annotate(&store, &args.list, entry, &args.entry.wanted())?;
    if !ui::docker() {
        ui::out(&format!("{}\n", id.hex()))?;
    }
    Ok(ExitCode::SUCCESS)
}
