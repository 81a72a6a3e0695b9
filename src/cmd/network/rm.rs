//! `coracle network rm`.

use crate::engine::containers;
use crate::engine::networks::{self, NetworkRemoval};
use crate::error::{Kind, Result, phrases};
use crate::host::Env;
use crate::ui;
use crate::view::{Dialect, network};
use std::process::ExitCode;

/// Arguments of `network rm`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Networks by name, id or beginning of an id
    #[arg(value_name = "NETWORK", required = true)]
    pub networks: Vec<String>,
    /// First remove the containers and pods that are on them (not as docker); ignore networks that do not exist
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
    // docker's --force ignores networks that do not exist, and removes no container.
    let force = args.force && crate::cmd::dialect() != Dialect::Docker;
    let request = NetworkRemoval { force, time: args.time, kept: crate::cmd::dialect::networks_kept_for() };
    let mut worst = ui::Worst::default();
    for text in &args.networks {
        let is_mode = crate::cmd::dialect() == Dialect::Docker && network::is_mode(text);
        let removed = match is_mode {
            true => Err(phrases::built_in_network_stays(text, text)),
            false => networks::remove_named(&store, network::meant(text, crate::cmd::dialect()), request),
        };
        match removed {
            Ok(_) => ui::out(&format!("{text}\n"))?,
            Err(error) if error.kind() == Kind::NotFound && args.force => {}
            Err(error) => {
                worst.add(&error);
                ui::report(&error);
            }
        }
    }
    containers::tidy(&store);
    Ok(worst.into())
}
