//! `coracle secret rm`.

use crate::error::{Kind, Result};
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `secret rm`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Secrets by name, id or beginning of an id
    #[arg(value_name = "SECRET", required_unless_present = "all", conflicts_with = "all")]
    pub secrets: Vec<String>,
    /// Remove all secrets
    #[arg(short, long)]
    pub all: bool,
    /// Ignore secrets that do not exist
    #[arg(short, long)]
    pub ignore: bool,
}

/// Removes secrets and prints their ids. Containers keep what they were given.
///
/// # Errors
/// A secret that does not exist; of several, each is reported and the others are removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let names = match args.all {
        true => store.secrets().list()?.into_iter().map(|secret| secret.name.to_string()).collect(),
        false => args.secrets.clone(),
    };
    let mut code = 0;
    for name in names {
        let removed = store.secrets().find_name(&name).and_then(|name| {
            // The id of one whose record cannot be read is lost.
            let id = store.secrets().get(&name).ok().flatten().map_or_else(|| name.to_string(), |s| s.id);
            store.secrets().remove(&name).map(|()| id)
        });
        match removed {
            Ok(id) => ui::out(&format!("{id}\n"))?,
            Err(error) if error.kind() == Kind::NotFound && (args.ignore || args.all) => {}
            Err(error) => {
                code = error.kind().exit_code();
                ui::report(&error);
            }
        }
    }
    Ok(ExitCode::from(code))
}
