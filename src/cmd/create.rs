//! `coracle create`.

use super::run::args::ContainerArgs;
use super::run::make::{Wish, make};
use crate::engine::containers;
use crate::error::Result;
use crate::host::Env;
use crate::plan::words::Stream;
use crate::ui;
use clap::ArgAction;
use std::process::ExitCode;

/// Arguments of `create`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, override_usage = "coracle create [OPTIONS] IMAGE [COMMAND [ARG]...]")]
pub struct Args {
    /// The container.
    #[command(flatten)]
    pub container: ContainerArgs,
    /// Keep stdin open for this; stdout and stderr can always be attached to
    #[arg(short, long, value_name = "STREAM", value_delimiter = ',', help_heading = "Terminal and output")]
    pub attach: Vec<Stream>,
    /// Image, then the command and its arguments
    #[arg(value_name = "IMAGE", required = true, num_args = 1.., trailing_var_arg = true)]
    pub words: Vec<String>,
    /// Print help
    #[arg(long, action = ArgAction::HelpShort)]
    pub help: Option<bool>,
}

/// Makes a container and prints its id; `start` runs it.
///
/// # Errors
/// Anything that is wrong with the options, before anything changes; a failed pull.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    let stdin = args.attach.contains(&Stream::Stdin);
    let wish = Wish { container: args.container, words: args.words, preserve_fds: 0, stdin };
    let made = make(wish, false, env)?;
    if !made.plan.lifecycle.auto_remove {
        containers::keep(&made.store, &made.dir, &made.plan)?;
    }
    ui::out(&format!("{}\n", made.plan.id))?;
    Ok(ExitCode::SUCCESS)
}
