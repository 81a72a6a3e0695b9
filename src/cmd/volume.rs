//! `coracle volume ...`.

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

/// Arguments of `volume`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done with volumes.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make a volume
    Create(create::Args),
    /// Tell by the exit code whether a volume exists
    Exists(exists::Args),
    /// Write a volume's content as an archive
    Export(export::Args),
    /// Bring an archive's files into a volume
    Import(import::Args),
    /// Show everything known about volumes
    Inspect(inspect::Args),
    /// List volumes
    #[command(name = "ls", visible_alias = "list")]
    Ls(ls::Args),
    /// Print where volumes are on the host
    Mount(mount::Args),
    /// Remove the volumes that no container uses
    Prune(prune::Args),
    /// Remove volumes
    #[command(visible_alias = "remove")]
    Rm(rm::Args),
    /// Take back what mount did, which is nothing
    #[command(visible_alias = "umount")]
    Unmount(mount::Args),
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
