//! Re-executing ourselves from a read-only mount, so that a container cannot write to our binary.
//!
//! Theory of operation. A process inside can reach the file its ancestor was executed from through
//! `/proc/PID/exe`, and an image's entry point may be `#!/proc/self/exe`. If that file belongs to an id that
//! exists inside, it could be overwritten (CVE-2019-5736). So a detached, read-only copy of the mount that
//! contains the file is made; once executed from there, every path to the file goes through the read-only
//! mount. A file owned by root does not need this: root does not exist inside.

use crate::container::ids::IdMaps;
use crate::failpoint;
use crate::fork::{Doing, Failure, Link};
use crate::sys::mount::{self, Tree, attr};
use crate::sys::read::text_of;
use crate::sys::{fd, process};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open, readlink};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fstat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::ffi::CString;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Whether this program's file can be written from a container with these ids; asked in the shared
/// namespace. Whatever cannot be known is taken as yes.
pub(in crate::runtime) fn must_seal(ids: &IdMaps) -> bool {
    let file = open("/proc/self/exe", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    let Ok(stat) = file.and_then(|file| fstat(&file)) else { return true };
    // An owner that does not exist in the shared namespace shows as the overflow id.
    let overflow = text_of("/proc/sys/kernel/overflowuid").ok().and_then(|t| t.trim().parse().ok());
    let stranger = overflow == Some(stat.st_uid) || ids.inside((stat.st_uid, stat.st_gid)).0.is_none();
    !stranger || stat.st_mode & 0o022 != 0
}

/// A read-only view of this program's file. The caller must own its mount namespace, a copy of the one
/// that it was executed in.
///
/// The open file of `/proc/self/exe` is on a mount of the original namespace, which may not be copied
/// from here; so the file is opened again by its name, and must be the same.
///
/// # Errors
/// The failed step.
pub(in crate::runtime) fn sealed_view() -> Result<OwnedFd, Failure> {
    let look = |path: &Path| open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).doing("open", path);
    let own = Path::new("/proc/self/exe");
    let name = PathBuf::from(readlink(own).doing("read link", own)?);
    let (executed, file) = (look(own)?, look(&name)?);
    let identity = |fd: &OwnedFd| fstat(fd).doing("examine", &name).map(|s| (s.st_dev, s.st_ino));
    if identity(&executed)? != identity(&file)? {
        return Err(Failure::other("seal", name.to_string_lossy(), "the program was replaced while it ran"));
    }
    let view = mount::open_tree(file.as_fd(), Path::new(""), Tree::Clone).doing("open", &name)?;
    mount::set_attributes(view.as_fd(), attr::RDONLY, 0, libc::MS_PRIVATE, false)
        .doing("make read-only", &name)?;
    Ok(view)
}

/// Executes `__stage NAME` of this program from its view; the order goes along in a memfd and the
/// descriptors stay open.
///
/// # Errors
/// The failed step; on success it does not return.
pub(in crate::runtime) fn resume_from<O: Serialize>(
    view: &OwnedFd,
    stage: &str,
    link: &Link,
    order: &O,
    others: &[&OwnedFd],
) -> Result<Infallible, Failure> {
    let bytes = serde_json::to_vec(order).map_err(|e| Failure::other("write", "the order", e.to_string()))?;
    let memory = memfd_create(c"order", MFdFlags::MFD_CLOEXEC).doing("make", "the order")?;
    std::fs::File::from(memory.try_clone().doing("copy", "descriptor")?)
        .write_all(&bytes)
        .doing("write", "the order")?;
    let mut argv = vec!["coracle".to_owned(), "__stage".to_owned(), stage.to_owned()];
    let link = link.as_fd();
    for fd in [link.as_raw_fd(), memory.as_raw_fd()].into_iter().chain(others.iter().map(|fd| fd.as_raw_fd()))
    {
        fd::set_inheritable(fd).doing("keep", "descriptor")?;
        argv.push(fd.to_string());
    }
    let argv = argv.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
    let argv = argv.map_err(|_| Failure::other("seal", "our own program", "an argument holds a NUL byte"))?;
    Err(process::exec_fd(view.as_fd(), &argv, &failpoint::environment())).doing("seal", "our own program")
}

/// The descriptors handed over by [`resume_from`], close-on-exec again: link, order, and the others.
pub(in crate::runtime) fn take_over(arguments: &[String]) -> Option<(Link, OwnedFd, Vec<OwnedFd>)> {
    let mut fds = reopen(arguments)?.into_iter();
    let (link, order) = (fds.next()?, fds.next()?);
    Some((Link::from_fd(link), order, fds.collect()))
}

/// Takes over descriptors by number after a re-execution and makes them close-on-exec again.
fn reopen(numbers: &[String]) -> Option<Vec<OwnedFd>> {
    let mut fds = Vec::with_capacity(numbers.len());
    for number in numbers {
        let raw = number.parse::<i32>().ok().filter(|n| *n > 2)?;
        let fd = fd::owned(raw);
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
        fds.push(fd);
    }
    Some(fds)
}

/// Reads an order back from its memfd.
///
/// # Errors
/// When it is not what was written.
pub(in crate::runtime) fn read_order<O: DeserializeOwned>(memory: OwnedFd) -> Result<O, Failure> {
    let mut file = std::fs::File::from(memory);
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).doing("read", "the order")?;
    serde_json::from_slice(&bytes).map_err(|e| Failure::other("read", "the order", e.to_string()))
}
