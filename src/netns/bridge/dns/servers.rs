//! Whom the host asks for names.
//!
//! The file is looked at again when a question has to go out: a laptop changes its networks while containers run. This
//! process is in the host's network, so that a server on the host's loopback, as systemd-resolved's, is asked as it is.

use crate::netns::files;
use crate::sys::read::text_of;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// How long what was read is believed.
const FRESH: Duration = Duration::from_secs(1);
/// Port of name servers.
const PORT: u16 = 53;

#[derive(Debug)]
pub(super) struct Servers {
    /// Those that the network was given.
    own: Vec<IpAddr>,
    host: Vec<IpAddr>,
    read: Option<Instant>,
}

impl Servers {
    pub(super) fn new(own: Vec<IpAddr>) -> Servers {
        Servers { own, host: Vec::new(), read: None }
    }

    /// Whom to ask, in this order; who asks may have somebody else in mind.
    pub(super) fn all(&mut self, wanted: Option<&[IpAddr]>) -> Vec<SocketAddr> {
        if let Some(wanted) = wanted {
            return wanted.iter().map(|ip| SocketAddr::new(*ip, PORT)).collect();
        }
        if self.own.is_empty() && self.read.is_none_or(|read| read.elapsed() >= FRESH) {
            let text = text_of("/etc/resolv.conf").unwrap_or_default();
            self.host = files::name_servers(&text);
            if self.host.is_empty() {
                // As the C library does (resolv.conf(5)).
                self.host.push(Ipv4Addr::LOCALHOST.into());
            }
            self.read = Some(Instant::now());
        }
        let all = if self.own.is_empty() { &self.host } else { &self.own };
        all.iter().map(|ip| SocketAddr::new(*ip, PORT)).collect()
    }
}
