//! `coracle port`.

use super::dialect;
use crate::engine::containers;
use crate::engine::containers::selector::{ContainerSelector, StatusFilter};
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::spec::network::{Protocol, host_address};
use crate::storage::containers::PortRecord;
use crate::ui;
use crate::view::{Dialect, both_families};
use std::process::ExitCode;
use std::str::FromStr;

/// Arguments of `port`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Container port to look up, with /tcp (the default), /udp or /sctp
    #[arg(value_name = "PORT[/PROTOCOL]")]
    pub port: Option<String>,
    /// Show the ports of all running containers
    #[arg(short, long, help_heading = "Which containers")]
    pub all: bool,
    /// Use the latest container; only the port is given then
    #[arg(short, long, help_heading = "Which containers")]
    pub latest: bool,
}

/// A port inside, `80` or `53/udp`.
struct Wanted {
    port: u16,
    protocol: Protocol,
}

impl FromStr for Wanted {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let port = port.parse().ok().filter(|port| *port > 0);
        match (port, protocol.parse()) {
            (Some(port), Ok(protocol)) => Ok(Wanted { port, protocol }),
            _ => Err(Error::new(Kind::Usage, format!("{text:?} is not a port of a container"))
                .hint("Write a number from 1 to 65535, and the protocol if it is not tcp: 53/udp")),
        }
    }
}

/// Shows where ports are published.
///
/// # Errors
/// A container that does not exist, a port that is not published.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let mut words: Vec<String> = args.container.iter().chain(&args.port).cloned().collect();
    let wanted = match (args.latest, words.len()) {
        (true, 2) => {
            return Err(Error::new(Kind::Usage, "no arguments are needed with --latest")
                .hint("Give the port alone: coracle port --latest 80"));
        }
        (true, 1) => words.pop(),
        (false, 2) => words.pop(),
        _ => None,
    };
    let wanted = wanted.map(|text| text.parse::<Wanted>()).transpose()?;
    let selection = ContainerSelector {
        names: &words,
        latest: args.latest,
        all: args.all,
        status: StatusFilter::Running,
        ..ContainerSelector::default()
    };
    let mut text = String::new();
    for (_, found) in selection.containers(&store)? {
        let container = found?;
        let mut ports = containers::published(&store, &container)?;
        if dialect() == Dialect::Docker {
            ports = both_families(&ports);
        }
        let before = if args.all { format!("{}\t", container.id().short()) } else { String::new() };
        match &wanted {
            None => text.extend(ports.iter().map(|port| {
                format!("{before}{}/{} -> {}\n", port.container_port, port.protocol, published(port))
            })),
            Some(wanted) => {
                let same = |p: &&PortRecord| (p.container_port, p.protocol) == (wanted.port, wanted.protocol);
                let lines: String = ports.iter().filter(same).map(|p| published(p) + "\n").collect();
                if lines.is_empty() {
                    let name = words.first().map_or(container.id().short(), String::as_str);
                    let port = format!("{}/{}", wanted.port, wanted.protocol);
                    return Err(phrases::port_not_published(&port, name)
                        .hint(format!("See which ports are published: coracle port {name}")));
                }
                text.push_str(&lines);
            }
        }
    }
    ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn published(port: &PortRecord) -> String {
    format!("{}:{}", host_address(port.host_ip), port.host_port)
}
