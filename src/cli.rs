//! The command line's tree; completions/ and man/ are generated from it.

use crate::cmd;
use crate::host::GlobalOptions;
use clap::{CommandFactory, Parser, Subcommand};

/// Run containers without root, daemon or set-up
#[derive(Debug, Parser)]
#[command(name = "coracle", version, after_long_help = include_str!("cmd/help.txt"))]
pub struct Cli {
    /// Options that stand before the verb.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// The whole tree, with the candidates for live completion.
pub fn tree() -> clap::Command {
    cmd::completion::with_names(Cli::command())
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the completion script for a shell
    Completion(cmd::completion::Args),
    /// Do something with containers
    Container(cmd::groups::ContainerArgs),
    /// Run a command in a running container
    Exec(cmd::exec::Args),
    /// Do something with images
    Image(cmd::groups::ImageArgs),
    /// List images
    Images(cmd::images::Args),
    /// Show this machine, the store and what is missing
    Info(cmd::info::Args),
    /// Show everything known about containers and images
    Inspect(cmd::inspect::Args),
    /// Send a signal to containers
    Kill(cmd::kill::Args),
    /// Show what containers wrote
    Logs(cmd::logs::Args),
    /// List containers
    Ps(cmd::ps::Args),
    /// Pull images from a registry
    Pull(cmd::pull::Args),
    /// Remove containers
    Rm(cmd::rm::Args),
    /// Remove images
    Rmi(cmd::rmi::Args),
    /// Run a command in a new container
    Run(Box<cmd::run::Args>),
    /// Stop containers
    Stop(cmd::stop::Args),
    /// Run a command in the user namespace that containers live in
    Unshare(cmd::unshare::Args),
    /// Show the version
    Version(cmd::version::Args),
    /// Wait for containers to stop and print their exit codes
    Wait(cmd::wait::Args),
}
