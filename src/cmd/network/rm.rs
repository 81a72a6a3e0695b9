//! `coracle network rm`.

use crate::engine::containers;
use crate::engine::networks::{self, NetworkRemoval};
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::ui;
use crate::view::network;
use std::process::ExitCode;

/// Exit code when a network does not exist (podman-network-rm(1)).
const EXIT_MISSING: u8 = 1;
/// Exit code when a container is on a network (podman-network-rm(1)).
const EXIT_IN_USE: u8 = 2;

/// Arguments of `network rm`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Networks by name, id or beginning of an id
    #[arg(value_name = "NETWORK", required = true)]
    pub networks: Vec<String>,
    /// First remove the containers that are on them; ignore networks that do not exist
    #[arg(short, long)]
    pub force: bool,
    /// With --force: seconds to wait before killing the containers; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", requires = "force",
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
}

/// Removes networks and prints their names.
///
/// # Errors
/// When the store cannot be opened; what fails for one network is reported and the others go on.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let request = NetworkRemoval { force: args.force, time: args.time };
    let mut code = 0;
    for text in &args.networks {
        match networks::remove_named(&store, network::meant(text, crate::cmd::dialect()), request) {
            Ok(_) => ui::out(&format!("{text}\n"))?,
            Err(error) if error.kind() == Kind::NotFound && args.force => {}
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
