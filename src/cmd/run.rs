//! `coracle run`.

pub mod args;
pub mod request;
#[cfg(test)]
mod tests;

use args::{ContainerArgs, RunArgs};
use clap::ArgAction;

/// Run a command in a new container
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    args_override_self = true,
    override_usage = "coracle run [OPTIONS] IMAGE [COMMAND [ARG]...]"
)]
pub struct Args {
    /// The container.
    #[command(flatten)]
    pub container: ContainerArgs,
    /// How it is run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Image, then the command and its arguments
    #[arg(value_name = "IMAGE", required = true, num_args = 1.., trailing_var_arg = true)]
    pub words: Vec<String>,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,
}
