//! `coracle volume mount` and `unmount`: for scripts that need the path of a volume on the host.

use crate::engine::volumes::archive;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `volume mount` and `volume unmount`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Volumes by name or a unique beginning of it
    #[arg(value_name = "VOLUME", required = true)]
    pub volumes: Vec<String>,
}

/// Prints where each volume's content is. Nothing needs to be mounted: it is a directory.
///
/// # Errors
/// A volume that does not exist, or that is memory of each container's own.
pub fn mount(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    ui::each(args.volumes.iter().collect(), |name| {
        let path = archive::place(&store, &store.volumes().find(name)?)?;
        Ok(Some(path.to_string_lossy().into_owned()))
    })
}

/// Prints each volume's name.
///
/// # Errors
/// A volume that does not exist.
pub fn unmount(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    ui::each(args.volumes.iter().collect(), |name| Ok(Some(store.volumes().find(name)?.name.to_string())))
}
