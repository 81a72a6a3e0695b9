//! `coracle manifest rm`.

use crate::engine::{containers, lists};
use crate::error::{FAILED, Kind, Result};
use crate::host::Env;
use crate::storage::images::Removed;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `manifest rm`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Names or ids of manifest lists
    #[arg(value_name = "LIST", required = true)]
    pub lists: Vec<String>,
    /// Ignore lists that do not exist
    #[arg(short, long)]
    pub ignore: bool,
}

/// Removes lists; their images stay.
///
/// # Errors
/// When the store cannot be opened. What fails for one list is reported, and the others go on.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let mut code = ExitCode::SUCCESS;
    for list in &args.lists {
        match lists::delete(&store, list) {
            Ok(removed) if !ui::docker() => removed.iter().try_for_each(report)?,
            Ok(_) => {}
            Err(e) if e.kind() == Kind::NotFound && args.ignore => {}
            Err(e) => {
                ui::report(&e);
                code = ExitCode::from(FAILED);
            }
        }
    }
    containers::tidy(&store);
    Ok(code)
}

fn report(removed: &Removed) -> Result<()> {
    let dialect = crate::cmd::dialect();
    let untagged = removed.untagged.iter().map(|name| format!("Untagged: {}\n", dialect.image_name(name)));
    let mut text: String = untagged.collect();
    if let Some(id) = &removed.deleted {
        text.push_str(&format!("Deleted: {}\n", dialect.image_id(id)));
    }
    ui::out(&text)
}
