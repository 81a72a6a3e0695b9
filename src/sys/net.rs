//! Network calls that nix lacks: interface flags, socket options of address families it leaves out.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsFd, AsRawFd};

/// Brings the interface up that is called `name` in this thread's network namespace (netdevice(7)).
///
/// # Errors
/// `ENODEV` when there is none, `EPERM` without `CAP_NET_ADMIN`, `ENAMETOOLONG` above 15 bytes.
pub fn interface_up(name: &str) -> nix::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let fd = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: ifreq is plain old data; all-zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: the request is valid for the call, which writes its flags.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) })?;
    // SAFETY: the call above has set the flags member of the union.
    unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    // SAFETY: the request is valid for the call, which only reads it.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }).map(drop)
}

/// Lets an IPv6 socket bind any address (`IPV6_TRANSPARENT`, ipv6(7)).
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` in the socket's network namespace.
pub fn set_ipv6_transparent(fd: impl AsFd) -> nix::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: passes a pointer to an int and its size.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_IPV6,
            libc::IPV6_TRANSPARENT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}
