//! The server's process: from the fork to the last request.

use super::opened::Opened;
use super::server::Server;
use super::tree::{OPEN_MAX, Tree};
use crate::fork::{Doing, Failure, Link};
use crate::storage::fuse::leaf;
use crate::storage::{tree, whiteout};
use caps::Capability;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat, umask};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// Requests that are answered at a time: one that waits for the disk does not hold up the others.
const THREADS: usize = 4;
/// Ours in the work directory, beside the kernel's `work`.
const ASIDE: &CStr = c"fuse";

/// The process: drops what it does not need, reports that it is ready, and serves until the file system is unmounted.
pub(super) fn main(link: &Link, device: &OwnedFd, parts: &Opened) -> i32 {
    leaf::serve(link, device, THREADS, prepare(link, device, parts).map(Server::new))
}

fn prepare(link: &Link, device: &OwnedFd, parts: &Opened) -> Result<Tree, Failure> {
    let of_parts = parts.layers.iter().chain([&parts.work, device]);
    let kept: Vec<_> = of_parts.map(AsFd::as_fd).chain([link.as_fd()]).collect();
    let capabilities = [
        Capability::CAP_CHOWN,
        Capability::CAP_DAC_OVERRIDE,
        Capability::CAP_DAC_READ_SEARCH,
        Capability::CAP_FOWNER,
        Capability::CAP_FSETID,
        Capability::CAP_SETFCAP,
    ];
    leaf::become_small(&kept, &capabilities)?;
    // Modes come from the callers, whose masks the kernel has applied.
    umask(Mode::empty());
    let layers = parts.layers.iter().map(leaf::copy).collect::<Result<Vec<_>, _>>()?;
    let own = Opened { layers, work: aside(&parts.work)?, volatile: parts.volatile };
    // Beside the copies there are the originals; half is for open files.
    let room = (leaf::descriptors(2 * kept.len()) / 2).clamp(1, OPEN_MAX);
    Tree::new(own, room).doing("look at", "layers")
}

/// The place to make things in, empty; a look at what the file system can do is taken there.
fn aside(work: &OwnedFd) -> Result<OwnedFd, Failure> {
    let failed = |step: nix::Result<()>| step.doing("prepare", "the overlay's work directory");
    failed(tree::remove_tree(work.as_fd(), ASIDE))?;
    failed(mkdirat(work, ASIDE, Mode::S_IRWXU))?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let aside = openat(work, ASIDE, flags, Mode::empty()).doing("prepare", "the overlay's work directory")?;
    let probe = whiteout::make(aside.as_fd(), c"whiteout")
        .and_then(|()| whiteout::set_opaque(aside.as_fd()))
        .and_then(|()| tree::empty_tree(aside.as_fd()));
    probe.doing("record deletions on", "this file system")?;
    Ok(aside)
}
