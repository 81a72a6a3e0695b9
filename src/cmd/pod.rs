//! `coracle pod ...`.

use super::verbs::verbs;
use crate::error::{Result, phrases};
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

pub mod create;
pub mod exists;
mod infra;
pub mod inspect;
pub mod kill;
pub mod logs;
pub mod pause;
pub mod prune;
pub mod ps;
pub mod restart;
pub mod rm;
pub mod start;
pub mod stats;
pub mod stop;
pub mod top;
mod which;

verbs! {
    /// What can be done with pods.
    pub enum Verb of Args {
        /// Create a pod
        Create(Box<create::Args>),
        /// Check whether a pod exists
        Exists(exists::Args),
        /// Show details of pods
        Inspect(inspect::Args),
        /// Send a signal to the containers of pods
        Kill(kill::Args),
        /// Show the logs of the containers of a pod
        Logs(logs::Args),
        /// Pause pods
        Pause(pause::Args),
        /// Remove pods that have ended
        Prune(prune::Args),
        /// List pods
        Ps(ps::Args) = "list" | "ls",
        /// Restart pods
        Restart(restart::Args),
        /// Remove pods
        Rm(rm::Args) = "remove",
        /// Start pods
        Start(start::Args),
        /// Show the resource usage of the containers of pods
        Stats(stats::Args),
        /// Stop pods
        Stop(stop::Args),
        /// Show the processes of the containers of a pod
        Top(top::Args),
        /// Unpause pods
        Unpause(pause::Args),
    }
}

/// Runs a verb of `pod`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    if ui::docker() {
        // There it is no command.
        return Err(phrases::unknown_command("docker", "pod", "docker pod"));
    }
    match args.verb {
        Verb::Create(args) => create::run(*args, env),
        Verb::Exists(args) => exists::run(&args, env),
        Verb::Inspect(args) => inspect::run(&args, env),
        Verb::Kill(args) => kill::run(&args, env),
        Verb::Logs(args) => logs::run(&args, env),
        Verb::Pause(args) => pause::pause(&args, env),
        Verb::Prune(args) => prune::run(&args, env),
        Verb::Ps(args) => ps::run(&args, env),
        Verb::Restart(args) => restart::run(&args, env),
        Verb::Rm(args) => rm::run(&args, env),
        Verb::Start(args) => start::run(&args, env),
        Verb::Stats(args) => stats::run(&args, env),
        Verb::Stop(args) => stop::run(&args, env),
        Verb::Top(args) => top::run(&args, env),
        Verb::Unpause(args) => pause::unpause(&args, env),
    }
}
