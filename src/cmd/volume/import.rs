//! `coracle volume import`.

use crate::engine::volumes::archive;
use crate::error::{Context, Kind, Result};
use crate::host::Env;
use std::fs::File;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Arguments of `volume import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Volume by name or a unique beginning of it; it must exist
    #[arg(value_name = "VOLUME")]
    pub volume: String,
    /// Archive, plain or compressed with gzip or zstd; by default or with - standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    pub source: String,
}

/// Brings an archive's files into a volume, beside what is there or in its place.
///
/// # Errors
/// A volume or file that does not exist, an archive that is malformed or leads out of the volume.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let volume = store.volumes().find(&args.volume)?;
    let archive = match args.source.as_str() {
        "-" => {
            let copy = std::io::stdin().as_fd().try_clone_to_owned();
            File::from(copy.context(Kind::Usage, || "open standard input")?)
        }
        path => File::open(path).context(Kind::Usage, || format!("read {path}"))?,
    };
    match archive::import(&store, &volume, archive)? {
        0 => {}
        devices => log::warn!("{devices} device nodes of the archive were left out"),
    }
    Ok(ExitCode::SUCCESS)
}
