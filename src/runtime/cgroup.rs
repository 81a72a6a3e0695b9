//! A container's own cgroup: made when it is needed and not before.
//!
//! Theory of operation. A container that is started in a cgroup of the account's gets one of its own below it
//! ([`apart`](mod@apart)), any other stays where it was started until it is to be frozen or has limits. It is
//! called `coracle-<12 digits>` and
//! stands below the cgroup that the container is in, so that whoever may change that one (root, or a user
//! to whom systemd delegated it) needs nobody's help. Where it may not be changed, as in a login session,
//! the user's service manager is asked for a scope of that name, by `busctl`, as podman does over D-Bus;
//! without one the request is refused with the command that helps. What a container's cgroup is can be
//! read in `/proc/<pid>/cgroup`; nothing is recorded.
//!
//! Only version 2 is used: cgroups(7), Documentation/admin-guide/cgroup-v2.rst. Processes are frozen
//! together and can be killed while they are.

mod apart;
mod limits;
mod reach;
mod scope;

pub use apart::{apart, lock_view};
pub use limits::{begin, effective, oom_killed, place_to_manage, prepare, update};
pub use reach::{leave, reach};
use scope::{ask_for_scope, not_ours, scope};

use super::join::Whose;
use super::processes;
use crate::container::ContainerId;
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{Doing, Failure};
use crate::spec::ContainerSpec;
use crate::storage::containers::{ContainerDir, RunRecord};
use crate::sys::process;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, mkdirat};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{Pid, UnlinkatFlags, unlinkat};
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Where the hierarchy is mounted; beside version 1 it has a place of its own.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// How long processes get to freeze, and the service manager to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Deepest cgroups below a container's that are cleared away; the rest goes with whoever owns it.
const DEPTH_MAX: usize = 32;
/// Most rounds of moving processes; one that forks faster than this is not caught.
const ROUNDS: usize = 200;

/// One cgroup.
#[derive(Debug)]
pub struct Group {
    dir: OwnedFd,
    path: String,
}

/// What a container's own cgroup is called.
pub fn name(id: &ContainerId) -> String {
    format!("coracle-{}", id.short())
}

/// Where version 2 is mounted on this machine.
fn hierarchy() -> Option<&'static str> {
    MOUNTS.into_iter().find(|place| statfs(*place).is_ok_and(|s| s.filesystem_type() == CGROUP2_SUPER_MAGIC))
}

/// Whether the top of a cgroup namespace is closed to those inside, limits and all (cgroup-v2.rst,
/// "Delegation", mount option `nsdelegate`).
pub fn delegates() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut options = mounts.lines().filter_map(|line| line.split_once(" - cgroup2 ")?.1.rsplit(' ').next());
    options.any(|all| all.split(',').any(|option| option == "nsdelegate"))
}

/// Whether a container may change cgroups from inside (attack case 51): those below its own only, which
/// it sees in a namespace of its own only. Where the kernel does not close the top of it, limits that
/// stand there could be lifted, so a container that has any may not.
pub fn may_manage(namespace: Whose, limited: bool, delegates: bool) -> bool {
    namespace == Whose::Own && (!limited || delegates)
}

/// Whether limits that a running container gets could be lifted from inside: it was given its cgroup to
/// manage when it had none, and the kernel does not close the top of it.
fn could_lift(manages: bool, limited: bool, delegates: bool) -> bool {
    manages && !limited && !delegates
}

/// The path of a process's cgroup below the hierarchy, `/` for the top.
fn of_process(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// The beginning of a path that ends with a container's own cgroup.
fn own_part(path: &str, own: &str) -> Option<String> {
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
    fn open(path: &str) -> nix::Result<Group> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = openat(&apart::top()?, format!(".{path}").as_str(), flags, Mode::empty())?;
        Ok(Group { dir, path: path.to_owned() })
    }

    /// A running container's own cgroup, when it has one.
    pub fn find(container: &ContainerDir, run: &RunRecord) -> Option<Group> {
        let path = own_part(&of_process(run.init.pid)?, &name(container.id()))?;
        Group::open(&path).ok()
    }

    /// A running container's own cgroup, made if it has none, with its processes in it.
    ///
    /// # Errors
    /// [`Kind::Host`] when this account may not make one.
    fn ensure(container: &ContainerDir, run: &RunRecord) -> Result<Group> {
        if let Some(group) = Group::find(container, run) {
            return Ok(group);
        }
        if hierarchy().is_none() {
            return Err(Error::new(
                Kind::Host,
                "this machine has no cgroups of version 2, which pausing needs",
            )
            .hint("Start the kernel with systemd.unified_cgroup_hierarchy=1"));
        }
        let gone = || Error::new(Kind::Conflict, "the container has just ended");
        let parent = of_process(run.init.pid).ok_or_else(gone)?;
        let own = name(container.id());
        match Group::below(&parent, &own) {
            Ok(group) => Ok(group),
            Err(Errno::EACCES | Errno::EPERM | Errno::EROFS) => {
                scope(&own, container).map_err(|why| not_ours(&parent, why))
            }
            Err(e) => Err(e).context(Kind::Host, || format!("make a cgroup in {parent}")),
        }
    }

    /// Makes a cgroup, or opens it, where processes of `parent` may be moved.
    fn below(parent: &str, name: &str) -> nix::Result<Group> {
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

    /// Its path below the hierarchy.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The content of one of its files; `None` when it has no such file.
    pub fn read(&self, file: &str) -> Option<String> {
        let fd = openat(&self.dir, file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let mut text = String::new();
        File::from(fd).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// The number behind a key in one of its files, such as `usage_usec` in `cpu.stat`.
    pub fn number(&self, file: &str, key: &str) -> Option<u64> {
        let text = self.read(file)?;
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// Whether a controller works in it.
    fn has(&self, controller: &str) -> bool {
        self.read("cgroup.controllers")
            .is_some_and(|text| text.split_ascii_whitespace().any(|word| word == controller))
    }

    /// Writes one of its files.
    ///
    /// # Errors
    /// Those of open(2) and write(2).
    fn write(&self, file: &str, text: &str) -> std::io::Result<()> {
        let fd = openat(&self.dir, file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        File::from(fd).write_all(text.as_bytes())
    }

    /// Freezes the container: first the cgroup, so that each process stops as it is moved, then the
    /// processes that are not in it yet.
    fn freeze(&self, container: &ContainerDir) -> Result<()> {
        let doing = || format!("freeze container {}", container.id().short());
        self.write("cgroup.freeze", "1").context(Kind::Runtime, doing)?;
        let settled = self.adopt(container).and_then(|()| self.wait_frozen(container));
        if settled.is_err() {
            let _ = self.write("cgroup.freeze", "0");
        }
        settled
    }

    /// Moves every process of the container into this cgroup. The kernel takes numbers only, so each process
    /// is held by a pidfd before it is seen to be the container's, and lives when its number is written: for
    /// a stranger to get there, every number of the system would have to be used once in between.
    fn adopt(&self, container: &ContainerDir) -> Result<()> {
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
        Err(Error::new(Kind::Runtime, "the container makes processes faster than they can be frozen"))
    }

    fn holds(&self, path: &str) -> bool {
        path == self.path || path.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('/'))
    }

    fn wait_frozen(&self, container: &ContainerDir) -> Result<()> {
        let begun = Instant::now();
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let doing = || format!("freeze container {}", container.id().short());
        while begun.elapsed() < PATIENCE {
            let events = openat(&self.dir, "cgroup.events", flags, Mode::empty());
            let events = File::from(events.context(Kind::Runtime, doing)?);
            let mut text = String::new();
            (&events).read_to_string(&mut text).context(Kind::Runtime, doing)?;
            if text.lines().any(|line| line == "frozen 1" || line == "populated 0") {
                return Ok(());
            }
            // Wakes when the file changes, cgroup-v2.rst, "cgroup.events".
            let _ = poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], PollTimeout::from(100u16));
        }
        Err(Error::new(Kind::Runtime, format!("container {} does not freeze", container.id().short()))
            .hint("A process of it may hang in the kernel; look for state D in: ps -eo pid,stat,wchan,args"))
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

/// Freezes a running container.
///
/// # Errors
/// [`Kind::Host`] when this account may not make a cgroup for it; `Runtime` when it does not freeze.
pub fn freeze(container: &ContainerDir, run: &RunRecord) -> Result<()> {
    Group::ensure(container, run)?.freeze(container)
}

/// Lets a frozen container go on. One without a cgroup of its own is not frozen.
///
/// # Errors
/// When the cgroup cannot be written.
pub fn thaw(container: &ContainerDir, run: &RunRecord) -> Result<()> {
    let Some(group) = Group::find(container, run) else { return Ok(()) };
    group
        .write("cgroup.freeze", "0")
        .context(Kind::Runtime, || format!("let container {} go on", container.id().short()))
}

/// Ends what is left in a container's own cgroup and removes it; for its monitor, when the payload has
/// ended. Costs one look where there is none.
pub fn clear(plan: &ContainerSpec) {
    let own = name(&plan.id);
    if let Some(parent) = of_process(std::process::id().cast_signed()) {
        remove(&format!("{}/{own}", parent.trim_end_matches('/')), &own);
    }
    // Limits may have been set after the container was made.
    let limits = &plan.limits;
    if (!limits.resources.is_empty() || limits.manages_cgroups || !plan.lifecycle.auto_remove)
        && let Some(path) = limits::path(&plan.id, plan.limits.cgroup_parent.as_deref())
    {
        remove(&path, &own);
    }
}

fn remove(path: &str, own: &str) {
    let Ok(group) = Group::open(path) else { return };
    let _ = group.write("cgroup.kill", "1");
    let Ok(above) = Group::open(path.strip_suffix(own).unwrap_or(path)) else { return };
    // Killed processes leave in their own time.
    for _ in 0..100 {
        let events = openat(&group.dir, "cgroup.events", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let Ok(events) = events.map(File::from) else { return };
        // Only what comes after it was read wakes.
        let _ = (&events).read(&mut [0; 128]);
        remove_below(&group.dir, DEPTH_MAX);
        if unlinkat(&above.dir, own, UnlinkatFlags::RemoveDir) != Err(Errno::EBUSY) {
            return;
        }
        let _ = poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], PollTimeout::from(10u8));
    }
}

/// Removes the cgroups that the container made below its own. Those with processes stay.
fn remove_below(dir: &OwnedFd, depth: usize) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let Ok(listed) = openat(dir, ".", flags, Mode::empty()) else { return };
    let Ok(mut entries) = Dir::from_fd(listed) else { return };
    for entry in entries.iter().flatten() {
        let name = entry.file_name();
        if entry.file_type() != Some(Type::Directory) || name.to_bytes().starts_with(b".") {
            continue;
        }
        if depth > 0
            && let Ok(below) = openat(dir, name, flags, Mode::empty())
        {
            remove_below(&below, depth - 1);
        }
        let _ = unlinkat(dir, name, UnlinkatFlags::RemoveDir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_51_cgroups_of_others_and_limits_cannot_be_changed_from_inside() {
        for (namespace, limited, delegates, may) in [
            (Whose::Own, false, false, true),
            (Whose::Own, true, true, true),
            (Whose::Own, true, false, false),
            (Whose::Joined, false, true, false),
            (Whose::Foreign, false, true, false),
            (Whose::Host, false, true, false),
        ] {
            assert_eq!(may_manage(namespace, limited, delegates), may, "{namespace:?} {limited} {delegates}");
        }
    }

    #[test]
    fn case_51_no_limit_is_set_that_could_be_lifted() {
        for (manages, limited, delegates, could) in [
            (true, false, false, true),
            (true, false, true, false),
            // It was not given its cgroup.
            (true, true, false, false),
            (false, false, false, false),
        ] {
            assert_eq!(could_lift(manages, limited, delegates), could, "{manages} {limited} {delegates}");
            if could {
                assert!(may_manage(Whose::Own, limited, delegates));
            }
        }
    }

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
