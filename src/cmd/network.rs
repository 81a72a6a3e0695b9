//! `coracle network ...`.

use super::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

pub mod create;
pub mod exists;
pub mod inspect;
pub mod ls;
pub mod prune;
pub mod rm;

verbs! {
    /// What can be done with networks.
    pub enum Verb of Args {
        /// Create a network
        Create(create::Args),
        /// Check whether a network exists
        Exists(exists::Args),
        /// Show details of networks
        Inspect(inspect::Args),
        /// List networks
        Ls(ls::Args) = "list",
        /// Remove unused networks
        Prune(prune::Args),
        /// Remove networks
        Rm(rm::Args) = "remove",
    }
}

/// Runs a verb of `network`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    match args.verb {
        Verb::Create(args) => create::run(args, env),
        Verb::Exists(args) => exists::run(&args, env),
        Verb::Inspect(args) => inspect::run(&args, env),
        Verb::Ls(args) => ls::run(&args, env),
        Verb::Prune(args) => prune::run(&args, env),
        Verb::Rm(args) => rm::run(&args, env),
    }
}
