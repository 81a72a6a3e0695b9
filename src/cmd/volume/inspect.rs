//! `coracle volume inspect`.

use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::storage::volumes::Users;
use crate::ui::{Shape, report};
use crate::view::{Dialect, volume};
use std::process::ExitCode;

/// Arguments of `volume inspect`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Volumes by name or a unique beginning of it
    #[arg(value_name = "VOLUME")]
    pub volumes: Vec<String>,
    /// Show all volumes
    #[arg(short, long)]
    pub all: bool,
    /// Print as json or a Go template such as '{{.Mountpoint}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Shows everything known about volumes.
///
/// # Errors
/// A wrong format or no volume at all; one that does not exist is reported, and the others are shown.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let dialect = crate::cmd::dialect();
    let shape = Shape::parse(args.format.as_deref(), dialect == Dialect::Docker)?;
    let found = match (args.all, args.volumes.is_empty()) {
        (true, true) => store.volumes().list()?.into_iter().map(Ok).collect(),
        (false, false) => args.volumes.iter().map(|name| store.volumes().find(name)).collect::<Vec<_>>(),
        (true, false) => {
            return Err(Error::new(Kind::Usage, "no arguments are needed with --all")
                .hint("Give either names or --all."));
        }
        (false, true) => {
            return Err(phrases::nothing_named("volume")
                .hint("Give a name, or --all; list them with: coracle volume ls"));
        }
    };
    let users = Users::read(store.containers())?;
    let mut shown = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for volume in found {
        match volume {
            Ok(volume) => shown.push(volume::document(&store, &volume, &users, dialect)),
            Err(error) => {
                code = ExitCode::from(error.kind().exit_code());
                report(&error);
            }
        }
    }
    shape.print(&shown)?;
    Ok(code)
}
