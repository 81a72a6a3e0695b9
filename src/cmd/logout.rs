//! `coracle logout`.

use super::options::login::{AuthFileOptions, login_key};
use crate::error::{Result, phrases};
use crate::host::Env;
use crate::registry::Forgotten;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `logout`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Registry or namespace
    #[arg(value_name = "REGISTRY", conflicts_with = "all")]
    pub registry: Option<String>,
    /// Log out of all registries
    #[arg(short, long)]
    pub all: bool,
    /// Where they are kept.
    #[command(flatten)]
    pub file: AuthFileOptions,
}

/// Forgets credentials.
///
/// # Errors
/// A registry that nobody is logged in to, files that cannot be written, helpers that fail.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let engine = super::store::engine(&store, env);
    let keeper = args.file.keeper(engine)?;
    if args.all {
        keeper.forget_all()?;
        ui::out("Removed login credentials for all registries\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let key = login_key(engine, args.registry.as_deref())?;
    let outcome = keeper.forget(&key)?;
    let said = match (outcome, ui::docker()) {
        (Forgotten::Removed, true) => format!("Removing login credentials for {}\n", key.docker()),
        (_, true) => format!("Not logged in to {}\n", key.docker()),
        (Forgotten::Removed, false) => format!("Removed login credentials for {key}\n"),
        (Forgotten::Elsewhere, false) => format!(
            "Not logged into {key} with current tool. Existing credentials were established via docker login. \
             Please use docker logout instead.\n"
        ),
        (Forgotten::Unknown, false) => return Err(phrases::not_logged_in(key.as_str())),
    };
    ui::out(&said)?;
    Ok(ExitCode::SUCCESS)
}
