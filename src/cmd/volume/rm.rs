//! `coracle volume rm`.

use crate::container::{ContainerId, Name};
use crate::engine::{containers, volumes};
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::storage::Store;
use crate::storage::volumes::Users;
use crate::ui;
use std::process::ExitCode;

/// Exit code when a volume does not exist (podman-volume-rm(1)).
const EXIT_MISSING: u8 = 1;
/// Exit code when a container uses a volume (podman-volume-rm(1)).
const EXIT_IN_USE: u8 = 2;

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
          allow_negative_numbers = true,
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
    let mut code = 0;
    for name in names {
        match remove(&store, args, &name) {
            Ok(volume) => ui::out(&format!("{volume}\n"))?,
            Err(error) if error.kind() == Kind::NotFound && (args.force || args.all) => {}
            Err(error) => {
                // The worst one: 125, then in use, then missing.
                code = match (error.kind(), code) {
                    (Kind::NotFound, 0) => EXIT_MISSING,
                    (Kind::NotFound, before) => before,
                    (Kind::Conflict, 0 | EXIT_MISSING) => EXIT_IN_USE,
                    (Kind::Conflict, before) => before,
                    (kind, _) => kind.exit_code(),
                };
                ui::report(&error);
            }
        }
    }
    containers::tidy(&store);
    Ok(ExitCode::from(code))
}

fn remove(store: &Store, args: &Args, name: &str) -> Result<Name> {
    let volume = store.volumes().find_name(name)?;
    // A container whose monitor died may be all that uses it.
    containers::settle_all(store)?;
    // Somebody may start another container meanwhile.
    for _ in 0..4 {
        if args.force {
            let users = Users::read(store.containers())?;
            users.of(&volume).iter().try_for_each(|id| remove_user(store, id, args.time))?;
        }
        match volumes::remove(store, &volume) {
            Err(e)
                if e.kind() == Kind::Conflict
                    && args.force
                    && !Users::read(store.containers())?.of(&volume).is_empty() => {}
            // The last container took an anonymous one along.
            Err(e) if e.kind() == Kind::NotFound && args.force => return Ok(volume),
            other => return other.map(|()| volume),
        }
    }
    volumes::remove(store, &volume).map(|()| volume)
}

fn remove_user(store: &Store, id: &ContainerId, time: Option<i64>) -> Result<()> {
    let container = match store.containers().open(id) {
        Err(e) if e.kind() == Kind::NotFound => return Ok(()),
        other => other?,
    };
    let (signal, patience) = containers::stop_policy(&container, time);
    containers::end(store, &container, signal, patience)?;
    containers::remove_ended(store, &container, false).map(drop)
}
