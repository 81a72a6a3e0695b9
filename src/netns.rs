//! The container's network: planning it and setting it up.
//!
//! Theory of operation. Option text is parsed into the plain types below ([`parse_publish`], [`parse_network`],
//! [`parse_add_host`], [`dns_plan`]), which are part of the container's plan. To start the container, the host
//! side of published ports is bound first, in the host's network ([`listen`]). Then the program of a driver
//! ([`Driver`]: slirp4netns, pasta) is started on the container's network namespace, or the container is plugged into
//! networks that it shares ([`bridge`]), and a forwarder leaf takes the listeners into it ([`forwarder`]). None of this
//! needs privileges on the host.

mod attempts;
pub mod bridge;
mod choice;
mod driver;
pub mod files;
pub mod forwarder;
mod listen;
mod mode;
mod names;
mod netlink;
pub mod pasta;
mod program;
mod publish;
mod reach;
pub mod slirp;
pub mod subnets;
pub mod swap;

pub use attempts::Attempts;
pub use choice::{driver, usual};
pub use driver::{Driver, Helper, Tool};
pub use listen::{Listener, check_protocols, listen};
pub use mode::{AddressOptions, merge_networks, parse_network};
pub use names::{dns_plan, parse_add_host};
pub use program::says_of_its_version;
pub use publish::{ExposedPort, check_publish, parse_expose, parse_publish, publish_exposed};
pub use reach::Reach;

use crate::fork::{Doing, Failure};
use crate::sys::fd::close_all_but;
use crate::sys::read::text_of;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;

/// Leaves what is the caller's: its descriptors but those `kept`, its streams, directory and session.
fn leave_caller(kept: &[BorrowedFd<'_>]) -> Result<(), Failure> {
    close_all_but(kept).doing("close", "inherited descriptors")?;
    let null =
        open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "/dev/null")?;
    unistd::dup2_stdin(&null).doing("redirect", "standard input")?;
    unistd::dup2_stdout(&null).doing("redirect", "standard output")?;
    unistd::dup2_stderr(&null).doing("redirect", "standard error")?;
    unistd::chdir("/").doing("change directory to", "/")?;
    // A terminal's signals are for payloads; a session leader has none already.
    let _ = unistd::setsid();
    Ok(())
}

/// Brings loopback up in this thread's network namespace.
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` in the namespace.
pub fn loopback_up() -> nix::Result<()> {
    crate::sys::net::interface_up("lo")
}

/// The host's primary IPv4 address: the one that packets to the outside leave from. Nothing is sent.
///
/// `None` on a machine without a route. With user-mode networking a container reaches the host under this
/// address; the gateway's would need the host's loopback to be open.
pub fn host_address() -> Option<Ipv4Addr> {
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // A documentation address (RFC 5737): connecting a datagram socket only looks the route up.
    probe.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).ok()?;
    match probe.local_addr().ok()? {
        SocketAddr::V4(address) if !address.ip().is_unspecified() => Some(*address.ip()),
        _ => None,
    }
}

/// The host's name servers, as text in the form of resolv.conf(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostResolver {
    /// The host's `/etc/resolv.conf`; empty when there is none.
    pub text: String,
    /// Whether slirp4netns can relay to it: its sandbox sees `/etc` and `/run` only (slirp4netns(1)),
    /// which leaves out a link to elsewhere, as WSL has.
    pub relayed: bool,
}

/// Reads the host's name servers.
///
/// Where systemd-resolved answers on loopback, its list of real servers is given instead.
pub fn host_resolver() -> HostResolver {
    let read = |path: &str| text_of(path).ok();
    let text = read("/etc/resolv.conf").unwrap_or_default();
    let stub = text.lines().any(|line| line.trim() == "nameserver 127.0.0.53");
    let text = if stub { read("/run/systemd/resolve/resolv.conf").unwrap_or(text) } else { text };
    let relayed = std::fs::canonicalize("/etc/resolv.conf")
        .is_ok_and(|path| path.starts_with("/etc") || path.starts_with("/run"));
    HostResolver { text, relayed }
}
