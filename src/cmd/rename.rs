//! `coracle rename`.

use crate::container::Name;
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::runtime::control;
use crate::storage::events::Action;
use std::process::ExitCode;

/// Arguments of `rename`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// New name
    #[arg(value_name = "NEW")]
    pub name: Name,
}

/// Gives a container another name, whether it runs or not. Its host name stays.
///
/// # Errors
/// A container that does not exist, or a name that is taken.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let dir = control::find(&store, &args.container)?;
    if let Err(error) = store.containers().rename(&dir, &args.name) {
        // Who has the name may be gone but for its records.
        if error.kind() != Kind::Conflict || control::holder(&store, &args.name).is_some() {
            return Err(error);
        }
        store.containers().rename(&dir, &args.name)?;
    }
    dir.emit(Action::Rename);
    Ok(ExitCode::SUCCESS)
}
