//! `coracle image trust ...`.

use crate::cmd::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

pub mod set;
pub mod show;

verbs! {
    /// What can be done with the policy on images.
    pub enum Verb of Args {
        /// Set which images of a registry are accepted
        Set(set::Args),
        /// Show which images are accepted
        Show(show::Args),
    }
}

/// Runs a verb of `image trust`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    match args.verb {
        Verb::Set(args) => set::run(&args, env),
        Verb::Show(args) => show::run(&args, env),
    }
}
