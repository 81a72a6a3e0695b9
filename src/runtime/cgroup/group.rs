//! A cgroup, and how it is found.

use crate::container::ContainerId;
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{Doing, Failure};
use crate::runtime::processes;
use crate::storage::containers::{ContainerDir, RunRecord};
use crate::sys::mount::{self, Tree, attr};
use crate::sys::process;
use crate::sys::read::{text, text_of};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{Gid, Pid, Uid, fchownat};
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Where the hierarchy is mounted; beside version 1 it has a place of its own.
pub(super) const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// What is delegated where the kernel does not say so.
const DELEGATED: [&str; 3] = ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"];
/// Maximum number of rounds of moving processes; a container that forks faster is not caught.
const ROUNDS: usize = 200;
/// Flags to hold a place of the hierarchy.
pub(super) const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// One cgroup.
#[derive(Debug)]
pub struct Group {
    pub(super) dir: OwnedFd,
    pub(super) path: String,
}

/// What a container's own cgroup is called.
pub fn name(id: &ContainerId) -> String {
    format!("coracle-{}", id.short())
}

/// Where version 2 is mounted on this machine.
pub(super) fn hierarchy() -> Option<&'static str> {
    MOUNTS.into_iter().find(|place| statfs(*place).is_ok_and(|s| s.filesystem_type() == CGROUP2_SUPER_MAGIC))
}

/// The top of the hierarchy, held. Where [`lock_view`](super::lock_view) has made it read-only it is a copy that can
/// be written:
/// in its own mount namespace this process may still undo that.
pub(super) fn top() -> nix::Result<OwnedFd> {
    let top = open(hierarchy().ok_or(Errno::ENODEV)?, LOOK, Mode::empty())?;
    if fstatvfs(&top).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY))
        && let Ok(copy) = mount::open_tree(top.as_fd(), Path::new(""), Tree::Clone)
        && mount::set_attributes(copy.as_fd(), 0, attr::RDONLY, 0, false).is_ok()
    {
        return Ok(copy);
    }
    Ok(top)
}

/// The path of a process's cgroup below the hierarchy, `/` for the top.
pub fn of_process(pid: i32) -> Option<String> {
    let text = text_of(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// The beginning of a path that ends with a container's own cgroup.
pub(super) fn own_part(path: &str, own: &str) -> Option<String> {
    let mut kept = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        kept.push('/');
        kept.push_str(part);
        if part == own || part.strip_suffix(".scope") == Some(own) {
            return Some(kept);
        }
    }
    None
}

impl Group {
    pub(super) fn open(path: &str) -> nix::Result<Group> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = openat(&top()?, format!(".{path}").as_str(), flags, Mode::empty())?;
        Ok(Group { dir, path: path.to_owned() })
    }

    /// A running container's own cgroup, when it has one.
    pub fn find(container: &ContainerDir, run: &RunRecord) -> Option<Group> {
        let path = own_part(&of_process(run.init.pid)?, &name(container.id()))?;
        Group::open(&path).ok()
    }

    /// Makes a cgroup, or opens it, where processes of `parent` may be moved.
    pub(super) fn below(parent: &str, name: &str) -> nix::Result<Group> {
        let above = Group::open(parent)?;
        // A process may only be moved by who may also take it out of where it is.
        openat(&above.dir, "cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        match mkdirat(&above.dir, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e),
        }
        Group::open(&format!("{}/{name}", parent.trim_end_matches('/')))
    }

    /// Its directory.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Puts a process into it.
    ///
    /// # Errors
    /// Those of open(2) and write(2).
    pub fn take(&self, pid: i32) -> std::result::Result<(), Failure> {
        self.write("cgroup.procs", &pid.to_string()).doing("enter cgroup", &self.path)
    }

    /// Gives it to a container's root, a user and group of this process's user namespace: what those who manage
    /// cgroups below their own need (cgroup-v2.rst, "Delegation"). The limits stay ours.
    ///
    /// # Errors
    /// Those of fchownat(2).
    pub(in crate::runtime) fn hand_over(&self, owner: (u32, u32)) -> std::result::Result<(), Failure> {
        let named = text_of("/sys/kernel/cgroup/delegate").unwrap_or_else(|_| DELEGATED.join("\n"));
        for file in named.lines().chain(["."]) {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            match fchownat(&self.dir, file, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW) {
                // Of a controller that does not work here.
                Err(Errno::ENOENT) => {}
                other => other.doing("hand over cgroup", &self.path)?,
            }
        }
        Ok(())
    }

    /// Its path below the hierarchy.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The content of one of its files; `None` when it has no such file.
    pub fn read(&self, file: &str) -> Option<String> {
        let fd = openat(&self.dir, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let mut content = Vec::new();
        File::from(fd).read_to_end(&mut content).ok()?;
        Some(text(content))
    }

    /// The number behind a key in one of its files, such as `usage_usec` in `cpu.stat`.
    pub fn number(&self, file: &str, key: &str) -> Option<u64> {
        let text = self.read(file)?;
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// Whether a controller works in it.
    pub(super) fn has(&self, controller: &str) -> bool {
        self.read("cgroup.controllers")
            .is_some_and(|text| text.split_ascii_whitespace().any(|word| word == controller))
    }

    /// Writes one of its files.
    ///
    /// # Errors
    /// Those of open(2) and write(2).
    pub(super) fn write(&self, file: &str, text: &str) -> std::io::Result<()> {
        let fd = openat(&self.dir, file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        File::from(fd).write_all(text.as_bytes())
    }

    /// Moves every process of the container into this cgroup. The kernel takes numbers only, so each process
    /// is held by a pidfd before it is seen to be the container's, and lives when its number is written: for
    /// a stranger to get there, every number of the system would have to be used once in between.
    pub(super) fn adopt(&self, container: &ContainerDir) -> Result<()> {
        for _ in 0..ROUNDS {
            let mut outside = processes::own(container)?;
            outside.retain(|pid| {
                of_process(*pid).is_some_and(|path| !self.holds(&path)) && !processes::has_ended(*pid)
            });
            if outside.is_empty() {
                return Ok(());
            }
            let hold = |pid: i32| Some((pid, process::pidfd_open(Pid::from_raw(pid)).ok()?));
            let held: Vec<(i32, OwnedFd)> = outside.into_iter().filter_map(hold).collect();
            let own: HashSet<i32> = processes::own(container)?.into_iter().collect();
            for (pid, pidfd) in held {
                if !own.contains(&pid) || process::pidfd_send_signal(pidfd.as_fd(), 0).is_err() {
                    continue;
                }
                match self.write("cgroup.procs", &pid.to_string()) {
                    // It has ended.
                    Err(e) if e.raw_os_error() == Some(Errno::ESRCH as i32) => {}
                    other => {
                        other.context(Kind::Host, || format!("move process {pid} into {}", self.path))?
                    }
                }
            }
        }
        Err(Error::new(Kind::Runtime, "the container creates processes faster than they can be frozen"))
    }

    fn holds(&self, path: &str) -> bool {
        path == self.path || path.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// The file through which processes enter the cgroup at this path; who opens it decides who may.
///
/// # Errors
/// That of open(2).
pub fn door(path: &str) -> std::result::Result<File, Failure> {
    let open =
        || openat(&Group::open(path)?.dir, "cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
    open().map(File::from).doing("open", "the container's cgroup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_own_part_of_a_path() {
        let own = "coracle-0123456789ab";
        for (path, found) in [
            ("/a/coracle-0123456789ab", Some("/a/coracle-0123456789ab")),
            ("/a/coracle-0123456789ab/below", Some("/a/coracle-0123456789ab")),
            ("/user.slice/coracle-0123456789ab.scope", Some("/user.slice/coracle-0123456789ab.scope")),
            ("/", None),
            ("/a/coracle-0123456789abc", None),
        ] {
            assert_eq!(own_part(path, own).as_deref(), found, "{path}");
        }
    }
}
