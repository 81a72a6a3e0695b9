//! `coracle network ...`.

use super::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

pub mod connect;
pub mod create;
pub mod disconnect;
pub mod exists;
pub mod inspect;
pub mod ls;
pub mod prune;
pub mod reload;
pub mod rm;
pub mod update;

verbs! {
    /// What can be done with networks.
    pub enum Verb of Args {
        /// Connect a container to a network
        Connect(connect::Args),
        /// Create a network
        Create(create::Args),
        /// Disconnect a container from a network
        Disconnect(disconnect::Args),
        /// Check whether a network exists
        Exists(exists::Args),
        /// Show details of networks
        Inspect(inspect::Args),
        /// List networks
        Ls(ls::Args) = "list",
        /// Remove unused networks
        Prune(prune::Args),
        /// Repair the networks of running containers
        Reload(reload::Args),
        /// Remove networks
        Rm(rm::Args) = "remove",
        /// Change a network
        Update(update::Args),
    }
}

/// Runs a verb of `network`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    match args.verb {
        Verb::Connect(args) => connect::run(args, env),
        Verb::Create(args) => create::run(args, env),
        Verb::Disconnect(args) => disconnect::run(&args, env),
        Verb::Exists(args) => exists::run(&args, env),
        Verb::Inspect(args) => inspect::run(&args, env),
        Verb::Ls(args) => ls::run(&args, env),
        Verb::Prune(args) => prune::run(&args, env),
        Verb::Reload(args) => reload::run(&args, env),
        Verb::Rm(args) => rm::run(&args, env),
        Verb::Update(args) => update::run(&args, env),
    }
}
