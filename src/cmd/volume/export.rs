//! `coracle volume export`.

use crate::engine::volumes::archive;
use crate::error::{Context, Kind, Result, phrases};
use crate::host::Env;
use crate::storage::archive::to_file;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `volume export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Volume by name or a unique beginning of it
    #[arg(value_name = "VOLUME")]
    pub volume: String,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Writes a volume's content as a tar archive.
///
/// # Errors
/// A volume that does not exist, an output that takes no more.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let volume = store.volumes().find(&args.volume)?;
    archive::place(&store, &volume)?;
    match &args.output {
        Some(path) => to_file(path, |file| archive::export(&store, &volume, file))?,
        None if std::io::stdout().is_terminal() => {
            return Err(phrases::terminal_for_output("the --output flag")
                .hint(format!("Name a file: coracle volume export -o FILE {}", volume.name)));
        }
        None => {
            let copy = std::io::stdout().as_fd().try_clone_to_owned();
            archive::export(
                &store,
                &volume,
                &File::from(copy.context(Kind::Usage, || "open standard output")?),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
