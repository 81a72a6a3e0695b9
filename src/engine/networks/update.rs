//! Changing networks.

use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::netns::bridge;
use crate::runtime::launch::explain_keeper;
use crate::spec::bridge::BUILT_IN;
use crate::storage::Store;
use std::net::IpAddr;

/// Changes which servers a network asks for names that are none of its own: those of `dropped` no longer, those of
/// `added` after the others. Containers that run on it notice with the next name.
///
/// # Errors
/// `NotFound` for a network that does not exist; `Usage` for one that does not answer for names; when it runs and cannot be
/// told.
pub fn update(store: &Store, text: &str, added: &[IpAddr], dropped: &[IpAddr]) -> Result<()> {
    let lock = store.exclusive()?;
    let mut network = store.networks().find(text)?;
    let name = network.name.clone();
    if name == BUILT_IN || !network.dns {
        return Err(Error::new(
            Kind::Usage,
            format!("cannot set DNS servers of network {name}: it has no DNS"),
        )
        .hint("Use a network with names: coracle network create NAME"));
    }
    let before = network.dns_servers.clone();
    network.dns_servers.retain(|server| !dropped.contains(server));
    for server in added {
        if !network.dns_servers.contains(server) {
            network.dns_servers.push(*server);
        }
    }
    if network.dns_servers != before {
        store.networks().replace(&network)?;
        failpoint::reach("network-update.written");
    }
    // Also for an update before this one that was killed here.
    drop(lock);
    bridge::ask_of(store.runtime(), &network).map_err(explain_keeper)
}
