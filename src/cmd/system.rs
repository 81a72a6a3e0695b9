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
        /// Remove unused containers, images and volumes
        Prune(prune::Args),
        /// Remove everything: containers, images, volumes and the store itself
        Reset(reset::Args),
    }
}

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
        Verb::Prune(args) => prune::run(args, env),
        Verb::Reset(args) => reset::run(args, env),
    }
}
