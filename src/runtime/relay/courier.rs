//! A process that delivers the rest of a container's output and its exit code to slow clients.
//!
//! Theory of operation. When a container has exited, its name, ports and `alive` must not wait for a client
//! that is stopped or in a pager, and its output must not be lost either. So the monitor forks, and the child
//! keeps only the clients' sockets and what is queued for them, at most a megabyte each. It closes all other
//! descriptors, leaves the monitor's mounts, and lives until its clients have everything or are gone.

use super::client::{Client, deliver};
use crate::fork;
use crate::sys::fd;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use nix::unistd::{chdir, pivot_root};
use std::os::fd::{AsFd, BorrowedFd};

/// Hands clients over. If no process can be created, they are disconnected.
pub(super) fn send(mut clients: Vec<Client>) {
    // Not our child: among ours, a container without process ids of its own has what is killed at its end.
    let _ = fork::spawn(libc::CLONE_PARENT as u64, move |link| {
        drop(link);
        let sockets: Vec<BorrowedFd<'_>> = clients.iter().map(|client| client.socket.as_fd()).collect();
        if fd::close_all_but(&sockets).is_err() {
            return 125;
        }
        // Unlike a monitor, it can be killed by signals.
        let _ = SigSet::empty().thread_set_mask();
        // What is mounted for the container would stay as long as this process does.
        let _ = leave_mounts();
        deliver(&mut clients, None);
        0
    });
}

/// Leaves every mount for an empty place.
fn leave_mounts() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)?;
    mount(Some("tmpfs"), "/proc", Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=4k"))?;
    chdir("/proc")?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}
