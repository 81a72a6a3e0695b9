//! `coracle manifest ...`.

use super::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

pub mod add;
pub mod annotate;
pub mod create;
mod entry;
pub mod exists;
pub mod inspect;
pub mod push;
pub mod remove;
pub mod rm;

verbs! {
    /// What can be done with manifest lists.
    pub enum Verb of Args {
        /// Add images to a manifest list
        Add(add::Args),
        /// Change what a manifest list says about an image
        Annotate(annotate::Args),
        /// Create a manifest list
        Create(create::Args),
        /// Check whether a manifest list exists
        Exists(exists::Args),
        /// Show a manifest list or a manifest
        Inspect(inspect::Args),
        /// Push a manifest list to a registry
        Push(Box<push::Args>),
        /// Remove images from a manifest list
        Remove(remove::Args),
        /// Remove manifest lists
        Rm(rm::Args),
    }
}

/// Runs a verb of `manifest`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    match args.verb {
        Verb::Add(args) => add::run(&args, env),
        Verb::Annotate(args) => annotate::run(&args, env),
        Verb::Create(args) => create::run(&args, env),
        Verb::Exists(args) => exists::run(&args, env),
        Verb::Inspect(args) => inspect::run(&args, env),
        Verb::Push(args) => push::run(&args, env),
        Verb::Remove(args) => remove::run(&args, env),
        Verb::Rm(args) => rm::run(&args, env),
    }
}
