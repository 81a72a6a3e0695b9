//! `coracle volume rm`.

use crate::engine::containers;
use crate::engine::volumes::{self, VolumeRemoval};
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `volume rm`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Volumes by name or a unique beginning of it
    #[arg(value_name = "VOLUME", required_unless_present = "all", conflicts_with = "all")]
    pub volumes: Vec<String>,
    /// Remove all volumes
    #[arg(short, long)]
    pub all: bool,
    /// First remove the containers that use them; ignore volumes that do not exist
    #[arg(short, long)]
    pub force: bool,
    /// With --force: seconds to wait before killing the containers; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", requires = "force",
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
}

/// Removes volumes and prints their names.
///
/// # Errors
/// When the store cannot be opened; what fails for one volume is reported and the others go on.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let names = match args.all {
        true => store.volumes().list()?.into_iter().map(|volume| volume.name.to_string()).collect(),
        false => args.volumes.clone(),
    };
    let request = VolumeRemoval { force: args.force, time: args.time };
    let mut worst = ui::Worst::default();
    for name in names {
        match volumes::remove_named(&store, &name, request) {
            Ok(volume) => ui::out(&format!("{volume}\n"))?,
            Err(error) if error.kind() == Kind::NotFound && (args.force || args.all) => {}
            Err(error) => {
                worst.add(&error);
                ui::report(&error);
            }
        }
    }
    containers::tidy(&store);
    Ok(worst.into())
}
