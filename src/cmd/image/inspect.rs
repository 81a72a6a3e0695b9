//! `coracle image inspect`.

use crate::cmd::inspect::{self, ObjectKind};
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

/// Arguments of `image inspect`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Images by name, id or beginning of an id
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Print as json or a Go template such as '{{.Config.Cmd}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Shows everything known about images.
///
/// # Errors
/// Those of [`inspect::run`].
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    let args = inspect::Args { names: args.images, format: args.format, ..inspect::Args::default() };
    inspect::run_kind(&args, ObjectKind::Image, env)
}
