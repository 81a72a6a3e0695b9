//! `coracle network create`.

use crate::cmd::options::refused::{Accepted, Never, because, only};
use crate::engine::networks::{self, NetworkRequest};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::plan::option_values::Pair;
use crate::spec::bridge::{BUILT_IN, NetworkRoute};
use crate::ui;
use std::net::IpAddr;
use std::process::ExitCode;
use std::str::FromStr;

/// Arguments of `network create`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name of the network; podman1, podman2 and so on by default
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Driver of the network: bridge
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    pub driver: String,
    /// Address range, such as 10.92.0.0/24; may be repeated; a free one by default
    #[arg(long, value_name = "SUBNET")]
    pub subnet: Vec<String>,
    /// Gateway of each subnet, in the same order; its first address by default
    #[arg(long, value_name = "IP")]
    pub gateway: Vec<IpAddr>,
    /// Part of each subnet that containers get addresses of, such as 10.92.0.128/25 or FIRST-LAST
    #[arg(long, value_name = "RANGE")]
    pub ip_range: Vec<String>,
    /// Add a range of IPv6, if --subnet gives none
    #[arg(long)]
    pub ipv6: bool,
    /// No access to the outside: containers reach only each other
    #[arg(long)]
    pub internal: bool,
    /// Label; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<Pair>,
    /// Option of the driver, such as mtu=1400; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub opt: Vec<Pair>,
    /// Server to ask for names that are no container's, instead of the host's
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub dns: Vec<IpAddr>,
    /// Do not answer for the names of containers
    #[arg(long)]
    pub disable_dns: bool,
    /// Name of the bridge in the network's own namespace
    #[arg(long, value_name = "NAME")]
    pub interface_name: Option<String>,
    /// Further route of its containers: DESTINATION,GATEWAY[,METRIC]; may be repeated
    #[arg(long, value_name = "ROUTE")]
    pub route: Vec<RouteArg>,
    /// Do not fail if it already exists
    #[arg(long)]
    pub ignore: bool,
    /// Docker's: containers can be attached in any case
    #[arg(long, hide = true)]
    pub attachable: bool,
    /// Who gives out addresses
    #[arg(long, hide = true, value_name = "DRIVER", value_parser = only(&["host-local", "default"],
        "addresses are given out by the network itself", "Leave it out, or write --ipam-driver host-local."))]
    pub ipam_driver: Option<Accepted>,
    /// Docker's: how far it reaches
    #[arg(long, hide = true, value_name = "SCOPE", value_parser = only(&["local"],
        "there is no cluster, so every network is local", "Leave it out, or write --scope local."))]
    pub scope: Option<Accepted>,
    /// Docker's: with IPv4
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = only(&["true", "1"], "a network has IPv4 unless it is given a range of IPv6 alone",
                              "Give that range: coracle network create --subnet fd01::/64 NAME"))]
    pub ipv4: Option<Accepted>,
    /// Docker's: options of who gives out addresses
    #[arg(long, hide = true, value_name = "KEY=VALUE", value_parser = because(
        "addresses are given out by the network itself, which has no options",
        "Choose them with --subnet, --gateway and --ip-range."))]
    pub ipam_opt: Vec<Never>,
    /// Docker's: addresses that no container gets
    #[arg(long, hide = true, value_name = "NAME=IP", value_parser = because(
        "single addresses cannot be kept free",
        "Have containers get addresses of a part of the subnet: --ip-range 10.92.0.128/25."))]
    pub aux_address: Vec<Never>,
    /// Docker's: a network of a cluster
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = only(&["false", "0"], "there is no cluster", "Leave it out."))]
    pub ingress: Option<Accepted>,
    /// Docker's: only a description, for a cluster
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = only(&["false", "0"], "there is no cluster whose nodes could have the network", "Leave it out."))]
    pub config_only: Option<Accepted>,
    /// Docker's: a network that describes this one, in a cluster
    #[arg(long, hide = true, value_name = "NETWORK", value_parser = because(
        "there is no cluster whose nodes could have the network", "Give the options themselves."))]
    pub config_from: Option<Never>,
}

/// `--route`.
#[derive(Debug, Clone)]
pub struct RouteArg(NetworkRoute);

impl FromStr for RouteArg {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(',');
        let mut next = || parts.next().map(str::trim);
        let route = (|| {
            let (destination, gateway) = (next()?.parse().ok()?, next()?.parse().ok()?);
            let metric = next().map(|metric| metric.parse::<u32>().ok());
            match (metric, next()) {
                (None, None) => Some(NetworkRoute { destination, gateway, metric: None }),
                (Some(Some(metric)), None) => {
                    Some(NetworkRoute { destination, gateway, metric: Some(metric) })
                }
                _ => None,
            }
        })();
        route.map(RouteArg).ok_or_else(|| {
            Error::new(Kind::Usage, format!("invalid route {text:?}"))
                .hint("Write DESTINATION,GATEWAY[,METRIC], for example --route 10.20.0.0/16,10.92.0.50,100.")
        })
    }
}

/// Makes a network and prints its name, for docker its id.
///
/// # Errors
/// A name that is taken, ranges and options that cannot be had.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    let pairs = |pairs: Vec<Pair>| pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
    let request = NetworkRequest {
        name: args.name.clone(),
        driver: args.driver,
        subnets: args.subnet,
        gateways: args.gateway,
        ranges: args.ip_range,
        ipv6: args.ipv6,
        internal: args.internal,
        labels: pairs(args.label),
        options: pairs(args.opt),
        dns: args.dns,
        disable_dns: args.disable_dns,
        interface: args.interface_name,
        routes: args.route.into_iter().map(|RouteArg(route)| route).collect(),
    };
    let store = crate::cmd::store(env)?;
    let network = match (networks::create(&store, request), args.name) {
        (Err(e), Some(name)) if e.kind() == Kind::Conflict && args.ignore => store.networks().find(&name)?,
        (Err(e), Some(name)) if e.kind() == Kind::Conflict => {
            return Err(match name == BUILT_IN {
                true => e.hint("Choose another name: this network is always there."),
                false => e.hint_by_name(
                    format!("Use the existing one with --ignore, or remove it: coracle network rm {name}"),
                    format!("Choose another name, or remove it: coracle network rm {name}"),
                ),
            });
        }
        (made, _) => made?,
    };
    ui::out(&format!("{}\n", if ui::docker() { &network.id } else { &network.name }))?;
    Ok(ExitCode::SUCCESS)
}
