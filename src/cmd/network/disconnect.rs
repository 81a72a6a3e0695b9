//! `coracle network disconnect`.

use crate::engine::{containers, networks};
use crate::error::Result;
use crate::host::Env;
use crate::view::network;
use std::process::ExitCode;

/// Arguments of `network disconnect`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Network by name, id or beginning of an id
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Also where the network cannot be read, or the running container is not let go
    #[arg(short, long)]
    pub force: bool,
}

/// Disconnects a container from a network, at once where it runs.
///
/// # Errors
/// A network or container that does not exist; a container that is not on the network.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let container = containers::find(&store, &args.container)?;
    let name = network::meant(&args.network, crate::cmd::dialect());
    networks::disconnect(&store, &container, name, args.force)?;
    Ok(ExitCode::SUCCESS)
}
