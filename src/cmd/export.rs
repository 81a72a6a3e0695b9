//! `coracle export`.

use crate::engine::containers;
use crate::engine::containers::export;
use crate::error::{Context, Kind, Result, phrases};
use crate::host::Env;
use crate::storage::archive::to_file;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Writes a container's root file system as an archive.
///
/// # Errors
/// A container that does not exist, an output that takes no more.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let container = containers::find(&store, &args.container)?;
    match &args.output {
        Some(path) => to_file(path, |file| export::export(&store, &container, file))?,
        None if std::io::stdout().is_terminal() => {
            return Err(phrases::terminal_for_output("the --output flag")
                .hint(format!("Name a file: coracle export -o FILE {}", args.container)));
        }
        None => {
            let copy = std::io::stdout().as_fd().try_clone_to_owned();
            export::export(
                &store,
                &container,
                &File::from(copy.context(Kind::Usage, || "open standard output")?),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
