//! `coracle network connect`.

use crate::cmd::options::refused::{Never, because};
use crate::engine::{containers, networks};
use crate::error::Result;
use crate::host::Env;
use crate::spec::bridge::Attachment;
use crate::spec::mac::MacAddress;
use crate::view::network;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;

/// Arguments of `network connect`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Network by name, id or beginning of an id
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Further name under which others on the network find it
    #[arg(long, alias = "network-alias", alias = "net-alias", value_name = "NAME", value_delimiter = ',')]
    pub alias: Vec<String>,
    /// Address on the network
    #[arg(long, value_name = "IP")]
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address on the network
    #[arg(long, value_name = "IP")]
    pub ip6: Option<Ipv6Addr>,
    /// Hardware address of the container's interface
    #[arg(long, value_name = "MAC")]
    pub mac_address: Option<MacAddress>,
    /// Docker's: link to a container
    #[arg(long, hide = true, value_name = "CONTAINER", value_parser = because(
        "links between containers are a feature that docker has deprecated",
        "Containers on one network find each other by name; give further names with --alias."))]
    pub link: Vec<Never>,
    /// Docker's: option of the driver for this container
    #[arg(long, hide = true, value_name = "KEY=VALUE", value_parser = because(
        "the driver bridge has no options for a single container",
        "Give them to the network: coracle network create --opt KEY=VALUE NAME"))]
    pub driver_opt: Vec<Never>,
    /// Docker's: which network has the default route
    #[arg(long, hide = true, value_name = "NUMBER", value_parser = because(
        "the first of a container's networks with a way out has the default route",
        "Name that network first: coracle run --network FIRST --network OTHER ..."))]
    pub gw_priority: Option<Never>,
}

/// Connects a container to a network, at once where it runs.
///
/// # Errors
/// A network or container that does not exist; a container that is on the network already or has a network of another
/// kind; an address that cannot be had.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let Args { network: name, container, alias, ip, ip6, mac_address: mac, .. } = args;
    let wanted = Attachment {
        network: network::meant(&name, crate::cmd::dialect()).to_owned(),
        ip,
        ip6,
        mac,
        aliases: alias,
        interface: None,
        accelerate: None,
    };
    let container = containers::find(&store, &container)?;
    networks::connect(&store, &container, wanted)?;
    Ok(ExitCode::SUCCESS)
}
