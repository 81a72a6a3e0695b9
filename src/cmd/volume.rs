//! `coracle volume ...`.

use super::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

pub mod create;
pub mod exists;
pub mod export;
pub mod import;
pub mod inspect;
pub mod ls;
pub mod mount;
pub mod prune;
pub mod rm;

verbs! {
    /// What can be done with volumes.
    pub enum Verb of Args {
        /// Create a volume
        Create(create::Args),
        /// Check whether a volume exists
        Exists(exists::Args),
        /// Export a volume as a tar archive
        Export(export::Args),
        /// Import a tar archive into a volume
        Import(import::Args),
        /// Show details of volumes
        Inspect(inspect::Args),
        /// List volumes
        Ls(ls::Args) = "list",
        /// Print the directories of volumes on the host
        Mount(mount::Args),
        /// Remove unused volumes
        Prune(prune::Args),
        /// Remove volumes
        Rm(rm::Args) = "remove",
        /// Unmount volumes; no effect, as volume mount mounts nothing
        Unmount(mount::Args) = "umount",
    }
}

/// Runs a verb of `volume`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    match args.verb {
        Verb::Create(args) => create::run(args, env),
        Verb::Exists(args) => exists::run(&args, env),
        Verb::Export(args) => export::run(&args, env),
        Verb::Import(args) => import::run(&args, env),
        Verb::Inspect(args) => inspect::run(&args, env),
        Verb::Ls(args) => ls::run(&args, env),
        Verb::Mount(args) => mount::mount(&args, env),
        Verb::Prune(args) => prune::run(&args, env),
        Verb::Rm(args) => rm::run(&args, env),
        Verb::Unmount(args) => mount::unmount(&args, env),
    }
}
