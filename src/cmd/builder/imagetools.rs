//! `coracle buildx imagetools ...`: images in registries.

use crate::cmd::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

pub mod create;
pub mod inspect;

verbs! {
    /// What can be done with images in registries.
    pub enum Verb of Args {
        /// Make a manifest list of what a registry has
        Create(create::Args),
        /// Show what a registry has
        Inspect(inspect::Args),
    }
}

/// Runs a verb of `buildx imagetools`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    match args.verb {
        Verb::Create(args) => create::run(&args, env),
        Verb::Inspect(args) => inspect::run(&args, env),
    }
}
