//! `coracle create`.

use super::options::container::CreationArgs;
use super::options::creation;
use super::options::pulling::pulling_for_container;
use crate::engine::containers;
use crate::error::Result;
use crate::host::Env;
use crate::plan::option_values::Stream;
use crate::{host, ui};
use clap::ArgAction;
use std::process::ExitCode;

/// Arguments of `create`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, override_usage = "coracle create [OPTIONS] IMAGE [COMMAND [ARG]...]")]
pub struct Args {
    /// The container.
    #[command(flatten)]
    pub container: CreationArgs,
    /// Keep stdin open if this names it; stdout and stderr can always be attached to
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
pub fn run(args: Box<Args>, env: &Env) -> Result<ExitCode> {
    let caller = host::caller()?;
    let (quiet, policy) = (args.container.image.quiet, args.container.image.pull.into());
    let mut wanted = creation::wanted(args.container, args.words, &caller)?;
    // Attaching to standard input is asking for it to be open.
    wanted.request.stdin |= args.attach.contains(&Stream::Stdin);
    let store = super::store(env)?;
    let engine = super::store::engine(&store, env);
    let made =
        pulling_for_container(quiet, policy, |report| containers::create(engine, wanted, caller, report))?;
    ui::warn(&made.warnings);
    ui::out(&format!("{}\n", made.spec.id))?;
    Ok(ExitCode::SUCCESS)
}
