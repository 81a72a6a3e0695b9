//! The command line's tree; completions/ and man/ are generated from it.

use crate::cmd;
use crate::host::GlobalOptions;
use clap::{Parser, Subcommand};

/// Run containers without root, daemon or set-up
#[derive(Debug, Parser)]
#[command(name = "coracle", version, disable_help_subcommand = false)]
pub struct Cli {
    /// Options that stand before the verb.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List containers
    Ps(cmd::ps::Args),
    /// Pull images from a registry
    Pull(cmd::pull::Args),
    /// Run a command in a running container
    Exec(cmd::exec::Args),
    /// Run a command in the user namespace that containers live in
    Unshare(cmd::unshare::Args),
    /// Show the version
    Version(cmd::version::Args),
}
