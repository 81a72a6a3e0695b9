//! `coracle network update`.

use crate::engine::networks;
use crate::error::Result;
use crate::host::Env;
use std::net::IpAddr;
use std::process::ExitCode;

/// Arguments of `network update`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Network by name, id or beginning of an id
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// DNS server to ask for names that are none of the network's
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub dns_add: Vec<IpAddr>,
    /// DNS server not to ask any more
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub dns_drop: Vec<IpAddr>,
}

/// Changes a network, for the containers that run on it, too.
///
/// # Errors
/// A network that does not exist, or answers for no names.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    networks::update(&store, &args.network, &args.dns_add, &args.dns_drop)?;
    Ok(ExitCode::SUCCESS)
}
