//! Sharing namespaces: those of another container, or one given by its path.
//!
//! Theory of operation. Shared namespaces are opened before anything changes, and used as descriptors, because
//! a pid could refer to another process later. What can be done in a namespace depends on the user namespace
//! that owns it, so the owner determines how it is shared ([`Whose`]):
//! - Another container. The new container also joins that container's user namespace, because only there can it
//!   mount the proc and sysfs that belong to the namespace.
//! - The host after all, if the other container itself shares the host's.
//! - Somebody else. The namespace is entered from the shared user namespace, and cannot be modified.
//!
//! The monitor stays where it is: a go-between enters the shared namespaces, the user namespace last, and
//! clones the container's first process from there ([`super::birth`]). See setns(2), ioctl_nsfs(2).
//!
//! The files that belong to a network or IPC namespace are shared too: `/etc/hosts` and `/etc/resolv.conf`, or
//! `/dev/shm`, taken from the other container's mount namespace as detached mounts. The other container may
//! have put anything there, so each is opened inside its root and must be of the expected type.

use super::door::{Door, Ground};
use super::namespaces::{NamespaceOwner, NamespaceOwners, SHM};
use crate::error::{Error, Kind, Result};
use crate::fork::{self, Doing, Failure, Link, Step};
use crate::runtime::files::open_in;
use crate::spec::{ContainerSpec, NetworkMode, Share};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::sys::fd::close_all_but;
use crate::sys::mount::{self, Tree, attr};
use crate::sys::namespace;
use crate::sys::read::text;
use crate::userns;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What belongs to a network.
const NETWORK_FILES: [&str; 2] = [HOSTS, "/etc/resolv.conf"];
const HOSTS: &str = "/etc/hosts";
/// Longest file that gets one more line, in bytes: it grows with each container that a pod has had.
const HOSTS_MAX: u64 = 256 << 10;

/// What a container shares, opened.
#[derive(Debug, Default)]
pub struct JoinedNamespaces {
    /// Whose its namespaces are.
    pub owners: NamespaceOwners,
    targets: Vec<OwnedFd>,
    user: Option<OwnedFd>,
    /// Other containers and what of theirs comes along.
    lenders: Vec<(Lender, &'static [&'static str])>,
    /// The name by which others in the pod find the container, whose network they share.
    name_in_pod: Option<String>,
}

/// Another container's mount namespace.
#[derive(Debug)]
struct Lender {
    mounts: OwnedFd,
    ground: Ground,
}

/// One namespace to be shared.
struct Wish<'a> {
    /// The option that asks for it.
    option: String,
    share: &'a Share,
    /// Its name in `/proc/PID/ns`.
    name: &'static str,
    flag: CloneFlags,
}

impl JoinedNamespaces {
    /// Opens what the plan shares with others than the host.
    ///
    /// # Errors
    /// A container that is not running, a path that is no namespace of its kind, and what cannot be shared.
    pub fn open(store: &Store, plan: &ContainerSpec) -> Result<JoinedNamespaces> {
        let own = &plan.namespaces;
        let network = match &plan.network.mode {
            NetworkMode::Host => Share::Host,
            NetworkMode::Container(id) => Share::Container(id.clone()),
            NetworkMode::Ns(path) => Share::Ns(path.clone()),
            NetworkMode::Private
            | NetworkMode::None
            | NetworkMode::Slirp(_)
            | NetworkMode::Pasta(_)
            | NetworkMode::Bridge(_) => Share::Private,
        };
        let in_pod = plan.pod.as_ref().is_some_and(|pod| !pod.infra);
        let name_in_pod = in_pod.then(|| plan.name.to_string());
        let mut joined = JoinedNamespaces { name_in_pod, ..JoinedNamespaces::default() };
        let wish = |option: &str, share, name, flag| Wish {
            option: format!("--{option}={share}"),
            share,
            name,
            flag,
        };
        for (wish, whose) in [
            (wish("network", &network, "net", CloneFlags::CLONE_NEWNET), 0),
            (wish("pid", &own.pid, "pid", CloneFlags::CLONE_NEWPID), 1),
            (wish("ipc", &own.ipc, "ipc", CloneFlags::CLONE_NEWIPC), 2),
            (wish("uts", &own.uts, "uts", CloneFlags::CLONE_NEWUTS), 3),
            (wish("cgroupns", &own.cgroup, "cgroup", CloneFlags::CLONE_NEWCGROUP), 4),
            (wish("userns", &own.user, "user", CloneFlags::CLONE_NEWUSER), 5),
        ] {
            if *wish.share == Share::Private {
                continue;
            }
            let found = joined.take(store, &wish)?;
            let s = &mut joined.owners;
            *[&mut s.net, &mut s.pid, &mut s.ipc, &mut s.uts, &mut s.cgroup, &mut s.user][whose] = found;
        }
        if joined.user.is_some() {
            joined.owners.user = NamespaceOwner::Joined;
        }
        Ok(joined)
    }

    fn take(&mut self, store: &Store, wish: &Wish<'_>) -> Result<NamespaceOwner> {
        let (fd, lender) = match wish.share {
            Share::Private => return Ok(NamespaceOwner::Own),
            Share::Host => return Ok(NamespaceOwner::Host),
            Share::Container(id) => of_container(store, wish, id)?,
            Share::Ns(path) => (of_path(wish, path)?, None),
        };
        let own =
            File::open(format!("/proc/self/ns/{}", wish.name)).map_err(|e| unusable(wish).caused_by(e))?;
        if same(fd.as_fd(), own.as_fd()) {
            return match wish.name {
                "user" => Err(unusable(wish).hint(NOT_OURS)),
                _ => Ok(NamespaceOwner::Host),
            };
        }
        let user = match wish.name {
            "user" => Owner::Container(fd),
            _ => {
                let owner = owner(wish, fd.as_fd())?;
                self.targets.push(fd);
                owner
            }
        };
        let Owner::Container(user) = user else {
            if wish.name == "pid" {
                return Err(unusable(wish).hint("Only the PID namespace of a container can be shared."));
            }
            return Ok(NamespaceOwner::Foreign);
        };
        if self.user.as_ref().is_some_and(|first| !same(first.as_fd(), user.as_fd())) {
            return Err(Error::new(
                Kind::Usage,
                format!(
                    "{} cannot be used together with namespaces of another container: they belong to different users",
                    wish.option
                ),
            )
            .hint("Share the namespaces of one container, or let that container share those of the other."));
        }
        self.user = Some(user);
        if let Some(lender) = lender {
            match wish.name {
                "net" => self.lenders.push((lender, &NETWORK_FILES)),
                "ipc" => self.lenders.push((lender, &[SHM])),
                _ => {}
            }
        }
        Ok(NamespaceOwner::Joined)
    }

    /// Whether the container's first process is created in namespaces that contain other processes.
    pub(super) fn among_others(&self) -> bool {
        self.targets().next().is_some()
    }

    /// The namespaces that are entered, the user namespace last.
    pub(super) fn targets(&self) -> impl Iterator<Item = &OwnedFd> {
        self.targets.iter().chain(&self.user)
    }

    /// Everything that is open here, for a process that keeps it.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let lenders = self.lenders.iter().flat_map(|(lender, _)| [lender.mounts.as_fd()]);
        self.targets().map(AsFd::as_fd).chain(lenders)
    }

    /// Takes from other containers what comes along with their namespaces: places, and detached mounts
    /// for them. What is missing there is left out.
    ///
    /// # Errors
    /// When the other container's mount namespace cannot be entered.
    pub fn borrow_mounts(&self) -> std::result::Result<(Vec<String>, Vec<OwnedFd>), Failure> {
        let (mut places, mut trees) = (Vec::new(), Vec::new());
        let Some(user) = &self.user else { return Ok((places, trees)) };
        for (lender, wanted) in &self.lenders {
            let helper = fork::spawn(0, |up| {
                let sent = lend(&up, user, lender, wanted, self.name_in_pod.as_deref());
                let Err(failure) = sent else { return 0 };
                i32::from(up.send(&Lent::Failed(failure), &[]).is_err())
            })
            .doing(Step::Start, "a helper")?;
            loop {
                match helper.link.recv::<Lent>().doing("hear from", "a helper")? {
                    None => break,
                    Some((Lent::Failed(failure), _)) => return Err(failure),
                    Some((Lent::Tree(index), fds)) => {
                        places.extend(wanted.get(index).map(|place| (*place).to_owned()));
                        trees.extend(fds.into_iter().next());
                    }
                }
            }
            helper.wait().doing("wait for", "a helper")?;
        }
        Ok((places, trees))
    }
}

/// The namespaces that a process of the container finds and its caller does not, as flags of clone(2),
/// without those of mounts and users. `first` is the container's first process, which is held.
pub fn to_enter(plan: &ContainerSpec, first: i32) -> CloneFlags {
    let own = &plan.namespaces;
    let shared = |share: &Share| *share != Share::Private;
    let of_host = |name: &str| {
        let open = |of: &str| File::open(format!("/proc/{of}/ns/{name}"));
        match (open(&first.to_string()), open("self")) {
            (Ok(theirs), Ok(ours)) => same(theirs.as_fd(), ours.as_fd()),
            _ => false,
        }
    };
    let mut flags = CloneFlags::empty();
    for (shared, name, flag) in [
        (shared(&own.pid), "pid", CloneFlags::CLONE_NEWPID),
        (shared(&own.ipc), "ipc", CloneFlags::CLONE_NEWIPC),
        (shared(&own.uts), "uts", CloneFlags::CLONE_NEWUTS),
        (shared(&own.cgroup), "cgroup", CloneFlags::CLONE_NEWCGROUP),
        (!plan.network.mode.is_own(), "net", CloneFlags::CLONE_NEWNET),
    ] {
        if !shared || !of_host(name) {
            flags |= flag;
        }
    }
    flags
}

const NOT_OURS: &str = "Name a container: container:NAME.";

fn unusable(wish: &Wish<'_>) -> Error {
    Error::new(Kind::Usage, format!("{} cannot be shared by this account", wish.option))
}

fn same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let identity = |fd| fstat(fd).map(|s| (s.st_dev, s.st_ino));
    matches!((identity(one), identity(other)), (Ok(a), Ok(b)) if a == b)
}

/// A running container's namespace, and its mount namespace.
fn of_container(store: &Store, wish: &Wish<'_>, id: &str) -> Result<(OwnedFd, Option<Lender>)> {
    let container = store.containers().find(id)?;
    let door = Door::open(&container).map_err(|error| match container.status().is_live() {
        true => error,
        false => Error::new(
            Kind::Conflict,
            format!("{} cannot be shared: container {} is not running", wish.option, container.id().short()),
        )
        .hint(format!("Start it first: coracle start {}", container.called())),
    })?;
    if wish.name == "ipc" {
        check_ipc(&container)?;
    }
    let open = |name: &str| door.namespace(name).map_err(|e| unusable(wish).caused_by(e));
    let lender = Lender { mounts: open("mnt")?, ground: door.ground() };
    Ok((open(wish.name)?, Some(lender)))
}

/// Refuses a container whose IPC namespace is not for others.
///
/// # Errors
/// `Conflict` for one that does not offer it; a plan that cannot be read.
pub fn check_ipc(container: &ContainerDir) -> Result<()> {
    // Without shared memory, what lies at /dev/shm there is whatever its payload put there.
    if container.spec()?.namespaces.offers_ipc() {
        return Ok(());
    }
    let id = container.id();
    Err(Error::new(
        Kind::Conflict,
        format!("joining IPC of container {id} is not allowed: non-shareable IPC"),
    )
    .hint("Make that container with --ipc=shareable: coracle run --ipc=shareable ..."))
}

fn of_path(wish: &Wish<'_>, path: &Path) -> Result<OwnedFd> {
    let found = File::open(path).map_err(|e| {
        Error::new(Kind::Usage, format!("{}: the namespace cannot be opened", wish.option)).caused_by(e)
    })?;
    match namespace::kind(found.as_fd()) {
        Ok(kind) if kind == wish.flag.bits() => Ok(found.into()),
        _ => Err(Error::new(Kind::Usage, format!("{}: that is not a {} namespace", wish.option, wish.name))
            .hint(format!("Give a path such as /proc/PID/ns/{}.", wish.name))),
    }
}

/// The owner of a namespace that can be shared.
enum Owner {
    /// A container's user namespace.
    Container(OwnedFd),
    /// The user's shared one.
    Shared,
}

fn owner(wish: &Wish<'_>, fd: BorrowedFd<'_>) -> Result<Owner> {
    let refuse = |e: nix::Error| unusable(wish).caused_by(e).hint(NOT_OURS);
    let own = File::open("/proc/self/ns/user").map_err(|e| unusable(wish).caused_by(e))?;
    let owner = namespace::owner(fd).map_err(refuse)?;
    // From the shared user namespace downwards; it is our own or the one below.
    let mut chain = vec![owner];
    while let Some(last) = chain.last().filter(|last| !same(last.as_fd(), own.as_fd())) {
        let above = namespace::owner(last.as_fd()).map_err(refuse)?;
        chain.push(above);
    }
    if !userns::inside() {
        chain.pop();
    }
    match (chain.len(), chain.into_iter().next()) {
        (2, Some(owner)) => Ok(Owner::Container(owner)),
        (1, Some(_)) => Ok(Owner::Shared),
        _ => Err(unusable(wish).hint(NOT_OURS)),
    }
}

/// What a helper in the other container's mount namespace sends.
#[derive(Debug, Serialize, Deserialize)]
enum Lent {
    /// The detached mount of the wanted place with this number.
    Tree(usize),
    Failed(Failure),
}

fn lend(
    up: &Link,
    user: &OwnedFd,
    lender: &Lender,
    wanted: &[&str],
    name_in_pod: Option<&str>,
) -> std::result::Result<(), Failure> {
    close_all_but(&[up.as_fd(), user.as_fd(), lender.mounts.as_fd()]).doing("close", "descriptors")?;
    super::init::hide()?;
    setns(user, CloneFlags::CLONE_NEWUSER).doing("enter", "the other container's user namespace")?;
    let root = lender.ground.enter(lender.mounts.as_fd())?;
    if let Some(name) = name_in_pod.filter(|_| wanted.contains(&HOSTS)) {
        // Whoever may write the file may also keep us from it: that is for the pod's own names to bear.
        let _ = add_host(root.as_fd(), name);
    }
    for (index, place) in wanted.iter().enumerate() {
        if let Some(tree) = detached(root.as_fd(), place) {
            up.send(&Lent::Tree(index), &[tree.as_fd()]).doing("send", *place)?;
        }
    }
    Ok(())
}

/// Has the names of a pod lead to a container that shares its network, as podman does: each is found at the loopback.
fn add_host(root: BorrowedFd<'_>, name: &str) -> std::io::Result<()> {
    let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut file = File::from(open_in(root, Path::new(HOSTS), flags)?);
    let found = file.metadata()?;
    if !found.is_file() || found.len() > HOSTS_MAX {
        return Ok(());
    }
    let mut bytes = Vec::new();
    Read::take(&mut file, HOSTS_MAX).read_to_end(&mut bytes)?;
    let text = text(bytes);
    let is_known = |line: &str| line.split_ascii_whitespace().skip(1).any(|known| known == name);
    if text.lines().any(is_known) {
        return Ok(());
    }
    let before = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    file.write_all(format!("{before}127.0.0.1\t{name}\n").as_bytes())
}

/// A detached mount of what is at a place, when it is what belongs there.
fn detached(root: BorrowedFd<'_>, place: &str) -> Option<OwnedFd> {
    let found = open_in(root, Path::new(place), OFlag::O_PATH | OFlag::O_NOFOLLOW).ok()?;
    let kind = SFlag::from_bits_truncate(fstat(&found).ok()?.st_mode & libc::S_IFMT);
    let fits = match place {
        SHM => kind == SFlag::S_IFDIR && fstatfs(&found).ok()?.filesystem_type() == TMPFS_MAGIC,
        _ => kind == SFlag::S_IFREG,
    };
    let tree = fits.then(|| mount::open_tree(found.as_fd(), Path::new(""), Tree::Clone).ok()).flatten()?;
    let locked_down = attr::NOSUID | attr::NODEV | attr::NOEXEC;
    mount::set_attributes(tree.as_fd(), locked_down, 0, libc::MS_PRIVATE, false).ok()?;
    Some(tree)
}
