//! The networks that a new container is to be on.

use crate::error::{Error, Kind, Result};
use crate::netns::subnets::is_for_hosts;
use crate::spec::bridge::{Attachment, BUILT_IN, UserNetwork};
use crate::spec::{ContainerSpec, NetworkMode};
use crate::storage::Store;
use std::net::IpAddr;

/// Puts the names of networks in place of what was written, which may be ids, and refuses what they cannot give.
///
/// # Errors
/// A network that does not exist; an address that it does not have; a network or interface that is named twice.
pub fn look_up(store: &Store, mode: &mut NetworkMode) -> Result<()> {
    let NetworkMode::Bridge(all) = mode else { return Ok(()) };
    let mut found: Vec<UserNetwork> = Vec::new();
    for attachment in all.iter_mut() {
        let network = store.networks().find(&attachment.network).map_err(|e| e.of_kind(Kind::Usage))?;
        if found.iter().any(|other| other.name == network.name) {
            return Err(wrong(format!("network {} is given twice", network.name), "Name each network once."));
        }
        attachment.network.clone_from(&network.name);
        check(attachment, &network)?;
        found.push(network);
    }
    let mut interfaces: Vec<String> =
        all.iter().enumerate().map(|(at, attachment)| attachment.interface_at(at)).collect();
    interfaces.sort();
    match interfaces.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(wrong(
            format!("interface name {} is given to two networks", pair[0]),
            "Give each network another interface_name, or leave it out.",
        )),
        None => Ok(()),
    }
}

pub(super) fn check(attachment: &Attachment, network: &UserNetwork) -> Result<()> {
    let asked = [attachment.ip.map(IpAddr::V4), attachment.ip6.map(IpAddr::V6)];
    for address in asked.into_iter().flatten() {
        let Some(subnet) = network.subnets.iter().find(|subnet| subnet.subnet.contains(&address)) else {
            let name = &network.name;
            return Err(wrong(
                format!("requested static ip {address} not in any subnet on network {name}"),
                &format!("See its subnets: coracle network inspect {name}"),
            ));
        };
        if address == subnet.gateway || !is_for_hosts(&subnet.subnet, address) {
            return Err(wrong(
                format!(
                    "requested static ip {address} is the gateway's address or not usable on network {}",
                    network.name
                ),
                "Choose another address of the subnet.",
            ));
        }
    }
    // podman-compose gives every service an alias, on the built-in network too.
    if !attachment.aliases.is_empty() && !network.dns && network.name != BUILT_IN {
        return Err(wrong(
            format!("cannot set aliases on network {}: it has no DNS", network.name),
            "Use a network with names: coracle network create NAME",
        ));
    }
    Ok(())
}

/// Makes sure that the networks of a container that was just recorded are still there: from now on they stay.
///
/// # Errors
/// `NotFound` for one that is gone.
pub fn present(store: &Store, plan: &ContainerSpec) -> Result<()> {
    let NetworkMode::Bridge(all) = &plan.network.mode else { return Ok(()) };
    all.iter().try_for_each(|attachment| store.networks().find(&attachment.network).map(drop))
}

fn wrong(message: String, hint: &str) -> Error {
    Error::new(Kind::Usage, message).hint(hint)
}
