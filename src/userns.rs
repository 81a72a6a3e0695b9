//! The user's shared user namespace: id 0 inside is the user, 1 and up are the subordinate ids.
//!
//! Theory of operation. [`enter`] puts the calling process into the shared namespace, in the first way that
//! works:
//! 1. It already has the capabilities, as real root or inside another user namespace. Nothing to do.
//! 2. A registered process is in it: open that process's namespace and `setns`. This takes a tenth of the time
//!    of 3.
//! 3. Create it: fork two helpers, unshare, and let them execute newuidmap and newgidmap in parallel. The
//!    helpers are forked first, because afterwards they would be inside, where the set-uid bit of newuidmap has
//!    no effect. Without a range or without newuidmap, only one id is mapped.
//!
//! A lock in the runtime directory covers 2 and 3, so that two shared namespaces never coexist: only inside a
//! single one can a process reach every container's namespaces. Processes inside register themselves in the
//! runtime directory; the namespace lives as long as any of them. Registrations of killed processes are removed
//! by those that join later, a limited number each time. See user_namespaces(7), newuidmap(1).

use crate::container::ids::{IdMaps, child_lines};
use crate::failpoint;
use crate::fork::{self, Doing, Failure, Step};
use crate::sys::read::{text, text_of};
use crate::sys::{fd, namespace, process};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{fstat, stat};
use nix::unistd::{Gid, Pid, Uid, getegid, geteuid, getpid};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

mod subid;
pub use crate::container::ids::Extent;
pub use subid::{IdMap, account_names};

/// A process's place in the shared namespace; dropping it takes the registration back.
#[derive(Debug)]
pub struct Membership {
    registration: Option<PathBuf>,
    one_id: bool,
}

/// Most registrations that a process looks at once it has joined.
const SWEEP_MAX: usize = 32;

/// What a user with one id has to know.
pub const ONE_ID: &str =
    "only one user id is available; files of other owners will all belong to you (see coracle info)";

impl Membership {
    /// Keeps the registration for the life of the process; others may join through it.
    pub fn leave(self) {
        drop(self);
    }

    /// Whether this process made the namespace and had one id to map, see [`ONE_ID`].
    pub fn has_one_id(&self) -> bool {
        self.one_id
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(path) = &self.registration {
            // Gone already when the runtime directory was wiped; joiners check liveness anyway.
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether this process already has what the shared namespace would give it.
pub fn inside() -> bool {
    use caps::{CapSet, Capability};
    let has = |c| caps::has_cap(None, CapSet::Effective, c).unwrap_or(false);
    has(Capability::CAP_SYS_ADMIN) && has(Capability::CAP_SETUID) && has(Capability::CAP_SETGID)
}

/// Puts this process into the shared user namespace. `runtime` is the runtime directory.
///
/// # Errors
/// The failed step; `host::explain` has the hints.
pub fn enter(runtime: &Path) -> Result<Membership, Failure> {
    if inside() {
        return Ok(Membership { registration: None, one_id: false });
    }
    let directory = runtime.join("userns");
    let lock = match open_lock(&directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .doing("make directory", &directory)?;
            open_lock(&directory)
        }
        other => other,
    };
    let lock = lock.doing("open lock file in", &directory)?;
    let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, e)| e).doing("lock", &directory)?;
    let one_id = !join(&directory)? && create()?;
    failpoint::reach("userns.joined");
    let membership = Membership { registration: Some(register(&directory)?), one_id };
    drop(lock);
    Ok(membership)
}

/// Registers this process, which is in the shared namespace because its parent was: others join through it as long as
/// it lives. `None` where there is no shared namespace.
///
/// # Errors
/// The failed step.
pub fn enlist(runtime: &Path) -> Result<Option<Membership>, Failure> {
    let directory = runtime.join("userns");
    let lock = match open_lock(&directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.doing("open lock file in", &directory)?,
    };
    let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, e)| e).doing("lock", &directory)?;
    let registration = Some(register(&directory)?);
    drop(lock);
    Ok(Some(Membership { registration, one_id: false }))
}

fn open_lock(directory: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(directory.join("lock"))
}

/// Runs `work` in a forked leaf inside the shared namespace, with the descriptors `kept`; its result or error
/// comes back whole.
///
/// # Errors
/// That of `work`, or why the namespace could not be entered.
pub fn in_child<T>(
    runtime: &Path,
    kept: &[RawFd],
    work: impl FnOnce() -> crate::error::Result<T>,
) -> crate::error::Result<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    if inside() {
        return work();
    }
    fork::leaf::<(), T>(
        "user namespace",
        kept,
        |_| {
            let member = enter(runtime)?;
            if member.has_one_id() {
                log::warn!("{ONE_ID}");
            }
            work()
        },
        |()| {},
    )
}

fn register(directory: &Path) -> Result<PathBuf, Failure> {
    let pid = getpid();
    let start = process::start_time(pid).doing("read start time of", format!("process {pid}"))?;
    let path = directory.join(pid.to_string());
    fs::write(&path, format!("{start} {}", numbering()?)).doing("write", &path)?;
    Ok(path)
}

/// Which pid namespace this process is in: pids mean something there only.
fn numbering() -> Result<u64, Failure> {
    let own = "/proc/self/ns/pid";
    Ok(stat(own).doing("look at", own)?.st_ino)
}

/// A registration: when the process started, and where its pid counts.
struct Registration {
    start: Option<u64>,
    numbering: Option<u64>,
}

impl Registration {
    /// `None` when it has been taken back.
    fn read(path: &Path) -> Result<Option<Registration>, Failure> {
        let text = match text_of(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.doing("read", path)?,
        };
        let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
        Ok(Some(Registration { start: numbers.next().flatten(), numbering: numbers.next().flatten() }))
    }

    fn counts_in(&self, numbering: u64) -> bool {
        self.numbering.is_none_or(|own| own == numbering)
    }
}

/// Joins through any registered process that still lives; removes the entries of those that do not, once it
/// is inside a few more at most. Each process begins at another entry, so that none is hidden forever behind
/// those that live.
///
/// Only what is known to have ended is removed: who cannot tell, for want of descriptors or from inside a sandbox,
/// would have others make a second namespace.
fn join(directory: &Path) -> Result<bool, Failure> {
    let entries = fs::read_dir(directory).doing("read directory", directory)?;
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    let mut registered: Vec<i32> = entries.flatten().filter_map(number).collect();
    let first = getpid().as_raw().unsigned_abs() as usize % registered.len().max(1);
    registered.rotate_left(first);
    let numbering = numbering()?;
    let (mut joined, mut swept) = (false, 0);
    for pid in registered {
        let path = directory.join(pid.to_string());
        let pid = Pid::from_raw(pid);
        if joined {
            swept += 1;
            // No more than this look, which is a tenth of a full one: a number that another process has by
            // now is found out when somebody begins with it.
            let is_ours =
                || Registration::read(&path).is_ok_and(|r| r.is_some_and(|r| r.counts_in(numbering)));
            if process::has_ended(pid) && is_ours() {
                let _ = fs::remove_file(&path);
            }
            if swept == SWEEP_MAX {
                break;
            }
            continue;
        }
        let Some(registration) = Registration::read(&path)?.filter(|r| r.counts_in(numbering)) else {
            continue;
        };
        let looked =
            look(pid, registration.start).doing("find the user namespace of", format!("process {pid}"));
        match looked? {
            Place::Shared(fd) => {
                setns(&fd, CloneFlags::CLONE_NEWUSER)
                    .doing("enter the user namespace of", format!("process {pid}"))?;
                joined = true;
            }
            Place::Ended => {
                let _ = fs::remove_file(&path);
            }
            Place::Apart => {}
        }
    }
    Ok(joined)
}

/// Where a process is that is said to live in the shared user namespace.
enum Place {
    /// In one that was made from ours.
    Shared(OwnedFd),
    /// Nowhere any more.
    Ended,
    /// In one that was made from another one than ours: we are, or it is, in a sandbox.
    Apart,
}

/// The user namespace of a process that is said to live in the shared one, if it is still the one that was
/// recorded, with this start time (see [`process::start_time`]), and lives in one that was made from ours. A
/// container's own is further down: who has brought its process into our records wants us in there.
pub fn namespace_of(pid: Pid, recorded: Option<u64>) -> Option<OwnedFd> {
    match look(pid, recorded) {
        Ok(Place::Shared(fd)) => Some(fd),
        _ => None,
    }
}

/// The pid is held by a pidfd while the start time is compared, so a recycled pid cannot slip in.
fn look(pid: Pid, recorded: Option<u64>) -> nix::Result<Place> {
    match place(pid, recorded) {
        Err(Errno::ESRCH | Errno::ENOENT) => Ok(Place::Ended),
        Err(Errno::EACCES | Errno::EPERM) => Ok(Place::Apart),
        other => other,
    }
}

fn place(pid: Pid, recorded: Option<u64>) -> nix::Result<Place> {
    let errno = |e: std::io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(nix::libc::EIO));
    let pidfd = process::pidfd_open(pid)?;
    if Some(process::start_time(pid).map_err(errno)?) != recorded {
        return Ok(Place::Ended);
    }
    let file = File::open(format!("/proc/{pid}/ns/user")).map_err(errno)?;
    process::pidfd_send_signal(pidfd.as_fd(), 0)?;
    let identity = |fd: BorrowedFd<'_>| fstat(fd).map(|s| (s.st_dev, s.st_ino));
    let parent = namespace::owner(file.as_fd())?;
    let own = File::open("/proc/self/ns/user").map_err(errno)?;
    let is_ours = identity(parent.as_fd())? == identity(own.as_fd())?;
    Ok(if is_ours { Place::Shared(file.into()) } else { Place::Apart })
}

/// Makes the namespace with this process in it; true when one id was all that could be mapped.
fn create() -> Result<bool, Failure> {
    let (uid, gid) = (geteuid(), getegid());
    let map = IdMap::of_user(uid, gid);
    let tools = tool("newuidmap").zip(tool("newgidmap"));
    match tools {
        Some((newuidmap, newgidmap)) if map.has_range() => {
            let uids = Mapper::spawn(newuidmap, &map.uids)?;
            let gids = Mapper::spawn(newgidmap, &map.gids)?;
            unshare(CloneFlags::CLONE_NEWUSER).doing(Step::MakeNamespaces, "user namespace")?;
            uids.go()?;
            gids.go()?;
            uids.finish()?;
            gids.finish()?;
            Ok(false)
        }
        _ => create_single(uid, gid).map(|()| true),
    }
}

/// One id only: what an account without a range gets.
fn create_single(uid: Uid, gid: Gid) -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_NEWUSER).doing(Step::MakeNamespaces, "user namespace")?;
    fs::write("/proc/self/setgroups", "deny").doing("write", "/proc/self/setgroups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).doing("write", "/proc/self/uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).doing("write", "/proc/self/gid_map")
}

/// Where newuidmap or newgidmap is, searched in `PATH` and the usual places.
pub fn tool(name: &str) -> Option<PathBuf> {
    process::find_program(name, &process::USUAL_PLACES)
}

/// A helper process that waits for the namespace and then executes newuidmap or newgidmap on it.
struct Mapper {
    name: String,
    child: fork::Child,
    errors: OwnedFd,
}

impl Mapper {
    fn spawn(program: PathBuf, extents: &[Extent]) -> Result<Mapper, Failure> {
        let name = program.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let (errors, child_errors) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make pipe for", &program)?;
        let target = getpid();
        let child = fork::spawn(0, |link| {
            let kept = [link.as_fd(), child_errors.as_fd()];
            // End of file: the parent failed and there is nothing to map.
            if fd::close_all_but(&kept).is_err() || !matches!(link.recv::<()>(), Ok(Some(_))) {
                return 1;
            }
            let mut command = std::process::Command::new(&program);
            command.arg(target.to_string()).env_clear();
            for e in extents {
                command.args([e.inside.to_string(), e.outside.to_string(), e.count.to_string()]);
            }
            command
                .stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::null())
                .stderr(child_errors);
            let failed = command.exec();
            failed.raw_os_error().unwrap_or(1)
        })
        .doing(Step::Start, name.as_str())?;
        Ok(Mapper { name, child, errors })
    }

    fn go(&self) -> Result<(), Failure> {
        self.child.link.send(&(), &[]).doing("start", self.name.as_str())
    }

    fn finish(self) -> Result<(), Failure> {
        let code = self.child.wait().doing("wait for", self.name.as_str())?;
        if code == 0 {
            return Ok(());
        }
        let mut said = Vec::new();
        // Bounded: these programs say one line.
        let _ = File::from(self.errors).take(4096).read_to_end(&mut said);
        let said = text(said);
        let detail =
            if said.trim().is_empty() { format!("exit code {code}") } else { said.trim().to_owned() };
        Err(Failure::other(Step::MapIds, self.name, detail).as_if(Errno::EPERM))
    }
}

/// Writes the map of a child namespace of the shared one by its `/proc` entry. The caller is in the shared
/// namespace.
///
/// # Errors
/// The failed write; ids that the shared namespace does not have.
pub fn write_child_map(child: Pid, maps: &IdMaps) -> Result<(), Failure> {
    for (file, extents) in [("uid_map", &maps.uids), ("gid_map", &maps.gids)] {
        let lines = child_lines(extents, &own_map(file)?).ok_or_else(|| {
            let lost = "the account has fewer subordinate ids than when the container was made";
            Failure::other("map the ids of", format!("process {child}"), lost)
        })?;
        let text: String =
            lines.iter().map(|e| format!("{} {} {}\n", e.inside, e.outside, e.count)).collect();
        let path = format!("/proc/{child}/{file}");
        if file == "gid_map" && single_group() {
            fs::write(format!("/proc/{child}/setgroups"), "deny")
                .doing("write setgroups of", format!("process {child}"))?;
        }
        fs::write(&path, text).doing("write", &path)?;
    }
    Ok(())
}

/// This process's own `uid_map` or `gid_map`.
fn own_map(file: &str) -> Result<Vec<Extent>, Failure> {
    let path = format!("/proc/self/{file}");
    Ok(subid::parse_map(&text_of(&path).doing("read", &path)?))
}

/// Whose this process is as the rest of the machine sees it: its own id, or what it is outside the user
/// namespace that it is in.
pub fn host_uid() -> u32 {
    let own = geteuid().as_raw();
    let map = own_map("uid_map").unwrap_or_default();
    map.iter().find_map(|extent| extent.out(own)).unwrap_or(own)
}

/// The map that the shared namespace has or will have.
///
/// # Errors
/// When the own map cannot be read.
pub fn shared_map() -> Result<IdMap, Failure> {
    Ok(match inside() {
        true => IdMap { uids: own_map("uid_map")?, gids: own_map("gid_map")? },
        false => IdMap::of_user(geteuid(), getegid()),
    })
}

fn single_group() -> bool {
    text_of("/proc/self/setgroups").is_ok_and(|t| t.trim() == "deny")
}
