//! `coracle system ...`: the store as a whole.

use super::verbs::verbs;
use super::{events, info};
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

pub mod check;
pub mod df;
pub mod prune;
pub mod reset;

verbs! {
    /// What can be done with the store as a whole.
    pub enum Verb of Args {
        /// Check the store for damage, and repair it
        Check(check::Args),
        /// Show the disk usage of images, containers and volumes
        Df(df::Args),
        /// Show events of containers, images and volumes
        Events(events::Args),
        /// Show information about this machine and the store
        Info(info::Args),
        /// Do nothing: containers need no migration
        Migrate(MigrateArgs),
        /// Remove unused containers, images and volumes
        Prune(prune::Args),
        /// Do nothing: locks have no numbers
        Renumber(RenumberArgs),
        /// Remove everything: containers, images, volumes and the store itself
        Reset(reset::Args),
    }
}

/// Arguments of `system migrate`.
#[derive(Debug, clap::Args)]
pub struct MigrateArgs {
    /// Runtime that containers are to use
    #[arg(long, hide = true, value_name = "NAME")]
    pub new_runtime: Option<String>,
}

/// Arguments of `system renumber`.
#[derive(Debug, clap::Args)]
pub struct RenumberArgs {}

/// Runs a verb of `system`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    match &args.verb {
        Verb::Check(args) => check::run(args, env),
        Verb::Df(args) => df::run(args, env),
        Verb::Events(args) => events::run(args, env),
        Verb::Info(args) => info::run(args, env),
        // Each container has a monitor of its own, and is locked by its files.
        Verb::Migrate(_) | Verb::Renumber(_) => Ok(ExitCode::SUCCESS),
        Verb::Prune(args) => prune::run(args, env),
        Verb::Reset(args) => reset::run(args, env),
    }
}
