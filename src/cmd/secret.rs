//! `coracle secret ...`.

use super::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

pub mod create;
pub mod exists;
pub mod inspect;
pub mod ls;
pub mod rm;

verbs! {
    /// What can be done with secrets.
    pub enum Verb of Args {
        /// Create a secret
        Create(create::Args),
        /// Check whether a secret exists
        Exists(exists::Args),
        /// Show details of secrets, but not their values
        Inspect(inspect::Args),
        /// List secrets
        Ls(ls::Args) = "list",
        /// Remove secrets
        Rm(rm::Args) = "remove",
    }
}

/// Runs a verb of `secret`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    match args.verb {
        Verb::Create(args) => create::run(args, env),
        Verb::Exists(args) => exists::run(&args, env),
        Verb::Inspect(args) => inspect::run(&args, env),
        Verb::Ls(args) => ls::run(&args, env),
        Verb::Rm(args) => rm::run(&args, env),
    }
}
