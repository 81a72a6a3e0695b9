//! The network of a plan.

use super::refusal::refuse;
use crate::error::Result;
use crate::image::RunConfig;
use crate::netns::{check_publish, parse_expose, publish_exposed};
use crate::plan::Request;
use crate::spec::network::DnsSpec;
use crate::spec::{NetworkMode, NetworkSpec};
use std::collections::BTreeSet;

/// Ports of the image and of `--expose`, each with its protocol. Ranges of `--expose` are taken apart; those
/// of an image stay as written, so that no image makes 65535 entries of one.
pub(super) fn exposed(request: &Request, config: Option<&RunConfig>) -> Result<BTreeSet<String>> {
    let of_image = config.into_iter().flat_map(|c| c.exposed_ports.keys());
    let mut ports: BTreeSet<String> =
        of_image.map(|port| if port.contains('/') { port.clone() } else { format!("{port}/tcp") }).collect();
    for text in &request.network.expose {
        ports.extend(parse_expose(text)?.iter().map(ToString::to_string));
    }
    Ok(ports)
}

pub(super) fn network(request: &Request, exposed: &BTreeSet<String>) -> Result<NetworkSpec> {
    let asked = &request.network;
    if asked.mode == NetworkMode::None && asked.dns != DnsSpec::default() {
        return Err(refuse(
            "--dns, --dns-search and --dns-option have no effect with --network=none",
            "Leave them out, or leave out --network=none.",
        ));
    }
    if asked.mode == NetworkMode::None && asked.hosts.iter().any(|host| host.address.is_none()) {
        return Err(refuse(
            "--add-host with host-gateway has no effect with --network=none: the host cannot be reached",
            "Leave it out, or leave out --network=none.",
        ));
    }
    if let NetworkMode::Container(_) | NetworkMode::Ns(_) = &asked.mode {
        joined_network(request)?;
    }
    if !request.files.hosts && !asked.hosts.is_empty() {
        return Err(refuse("--add-host cannot be set together with --no-hosts", "Leave out one of the two."));
    }
    let mut ports = asked.ports.clone();
    if asked.publish_all {
        let mut wanted = Vec::new();
        for text in exposed {
            wanted.extend(parse_expose(text)?);
        }
        ports.extend(publish_exposed(&wanted, &ports));
    }
    check_publish(&mut ports)?;
    if !asked.mode.carries_ports() {
        ports.clear();
    }
    let mut mode = asked.mode.clone();
    if let Some(mac) = &asked.mac {
        match &mut mode {
            NetworkMode::Slirp(options) => options.mac = Some(*mac),
            NetworkMode::Pasta(options) => options.mac = Some(*mac),
            _ => {
                return Err(refuse(
                    format!(
                        "--mac-address cannot be used with --network={mode}, which has no interface to set"
                    ),
                    "Leave it out, or use --network slirp4netns.",
                ));
            }
        }
    }
    Ok(NetworkSpec {
        mode,
        ports,
        dns: asked.dns.clone(),
        hosts: asked.hosts.clone(),
        hosts_base: asked.hosts_base.clone(),
    })
}

/// Settings of the network's creator, which cannot be changed by joining it.
fn joined_network(request: &Request) -> Result<()> {
    let asked = &request.network;
    let shares_files = matches!(asked.mode, NetworkMode::Container(_));
    let option = if shares_files && asked.dns != DnsSpec::default() {
        "--dns, --dns-search or --dns-option"
    } else if shares_files && !asked.hosts.is_empty() {
        "--add-host"
    } else {
        return Ok(());
    };
    Err(refuse(
        format!("{option} cannot be used with --network={}, which is set up already", asked.mode),
        "Give the option to the container that has the network.",
    ))
}
