//! Networks that containers share: a bridge in a network namespace per network.
//!
//! Theory of operation. A network exists while containers are on it. Its [`keeper`] makes the namespace with the bridge, and connects
//! it to the outside ([`uplink`]); a container's monitor becomes a member ([`Membership::join`]), which gives it an
//! address before the container is born, and then plugs the container in ([`plug`]). Networks have no namespace in
//! common, so nothing goes from one to another; there are no rules of a firewall and no translated addresses.
//!
//! In `networks/<first digits of the id>` of the runtime directory there are the keeper's socket and two locks: one is held for
//! a moment by who comes, by who starts a keeper and by a keeper that ends; the other is shared by all members. So who finds no keeper
//! knows whether there is a namespace all the same, and waits for those who hold it to start the next one.

mod dns;
mod entrance;
mod filter;
mod keeper;
mod members;
mod message;
mod namespace;
pub(super) mod outside;
mod plug;
mod token;
mod uplink;

use members::OtherNetwork;
pub use members::{Refusal, Wish};

use crate::fork::{self, Doing, Failure, Link, Step};
use crate::spec::bridge::{Attached, UserNetwork};
use entrance::{
    ANSWERS_WITHIN, ENTRANCE, LOCK, MEMBERS, address, dial, directory, hear, lock, share, unreachable,
    write_servers,
};
use keeper::{Begun, Start};
use message::{Ask, Place, Told};
use nix::errno::Errno;
use nix::fcntl::FlockArg;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, bind, listen, socket};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The domain of containers' names.
pub use dns::DOMAIN;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use dns::fuzzing;

/// How long who has no namespace waits for those who have it to start a keeper.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two looks at that.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often a keeper is started for those who were left by one.
const TRIES: u32 = 5;
/// What a monitor brings along.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The runtime directory.
    pub runtime: PathBuf,
    /// slirp4netns.
    pub slirp: Option<PathBuf>,
    /// Mounts of the monitor's that a keeper must not keep.
    pub leave: Vec<PathBuf>,
}

/// A container's place on a network. It is given up when this is dropped, or its owner dies.
#[derive(Debug)]
pub struct Membership {
    network: UserNetwork,
    wish: Wish,
    tools: Tools,
    link: Link,
    namespace: OwnedFd,
    place: Place,
    /// Locked as long as anybody has it open.
    shared: File,
    /// How often in a row it was in vain to come again.
    lost: u32,
}

impl Membership {
    /// Becomes a member, with the first one the network comes up.
    ///
    /// # Errors
    /// What is asked for cannot be had, or the network cannot be made.
    pub fn join(network: &UserNetwork, wish: &Wish, tools: &Tools) -> Result<Membership, Failure> {
        let dir = directory(&tools.runtime, network)?;
        let Entered { link, namespace, place } = enter(dir.as_fd(), network, wish, tools, None)?;
        let shared = share(dir.as_fd()).doing("join network", &network.name)?;
        Ok(Membership {
            network: network.clone(),
            wish: wish.clone(),
            tools: tools.clone(),
            link,
            namespace,
            place,
            shared,
            lost: 0,
        })
    }

    /// What another process has to be told to be the member in place of this one, and the descriptors that go along.
    pub fn pass_on(&self) -> (Passed, [BorrowedFd<'_>; 3]) {
        let Membership { network, wish, place, .. } = self;
        // Nobody asks a member for labels, and a message has an end.
        let network = UserNetwork { labels: Default::default(), ..network.clone() };
        let passed = Passed { network, wish: wish.clone(), place: place.clone() };
        (passed, self.descriptors())
    }

    /// The member that another process was; `None` when descriptors are missing.
    pub fn take_over(passed: Passed, descriptors: Vec<OwnedFd>, tools: Tools) -> Option<Membership> {
        let Passed { network, wish, place } = passed;
        let [link, namespace, shared] = descriptors.try_into().ok()?;
        let (link, shared) = (Link::from_fd(link), File::from(shared));
        Some(Membership { network, wish, tools, link, namespace, place, shared, lost: 0 })
    }

    /// Everything open that it consists of.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 3] {
        [self.link.as_fd(), self.namespace.as_fd(), self.shared.as_fd()]
    }

    /// What was asked for.
    pub fn wish(&self) -> &Wish {
        &self.wish
    }

    /// What the container has there.
    pub fn attached(&self) -> &Attached {
        &self.place.attached
    }

    /// What the container has there once it is called what this wish says.
    pub fn renamed(&self, wish: &Wish) -> Attached {
        let has = &self.place.attached;
        Attached { names: if has.dns { wish.all_names() } else { Vec::new() }, ..has.clone() }
    }

    /// Has it found by these names, and no longer by those that it had.
    pub fn rename(&mut self, names: Vec<String>) {
        self.wish.names = names;
        self.place.attached = self.renamed(&self.wish);
        // One that is gone is told when another one has taken its place.
        let _ = self.link.send(&Ask::Names(self.place.attached.names.clone()), &[]);
    }

    /// Whether what is nowhere else is reached by it.
    pub fn leads_out(&self) -> bool {
        self.network.leads_out()
    }

    /// Connects the container; by a network that `is_way_out` it reaches everything that is nowhere else.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn plug(&self, container: BorrowedFd<'_>, is_way_out: bool) -> Result<(), Failure> {
        let interface = plug::Interface { network: &self.network, place: &self.place, is_way_out };
        plug::plug(&interface, self.namespace.as_fd(), container)
    }

    /// Has everything that is nowhere else go out by it, from now on.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn lead_out(&self, container: BorrowedFd<'_>) -> Result<(), Failure> {
        plug::lead_out(&self.place.attached, container)
    }

    /// Disconnects it.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn unplug(&self, container: BorrowedFd<'_>) -> Result<(), Failure> {
        unplug(&self.place.attached.interface, container)
    }

    /// Waits until the network reaches the outside, if it does at all.
    ///
    /// # Errors
    /// Why it does not.
    pub fn wait_up(&self) -> Result<(), Failure> {
        let name = &self.network.name;
        match hear(&self.link, name, ANSWERS_WITHIN)? {
            Some((Told::Up, _)) => Ok(()),
            Some((Told::Down(failure), _)) => Err(failure),
            _ => Err(unreachable(name, "it has ended")),
        }
    }

    /// Hung up when the keeper has ended; `None` when nothing more can be done about that.
    pub fn watched(&self) -> Option<BorrowedFd<'_>> {
        (self.lost < TRIES).then(|| self.link.as_fd())
    }

    /// Comes again when the keeper has been killed. What the container has stays as it is.
    pub fn mend(&mut self) {
        if !self.link.other_end_is_gone() {
            return;
        }
        let mut wish = self.wish.clone();
        let has = &self.place.attached;
        (wish.ip, wish.ip6, wish.mac) =
            (has.ip().map(|(ip, _)| ip), has.ip6().map(|(ip, _)| ip), Some(has.mac));
        let again = directory(&self.tools.runtime, &self.network).and_then(|dir| {
            enter(dir.as_fd(), &self.network, &wish, &self.tools, Some(self.namespace.as_fd()))
        });
        match again {
            Ok(Entered { link, place, .. }) => {
                // The port is the one that it has.
                self.place.attached = place.attached;
                self.link = link;
                self.lost = 0;
            }
            Err(_) => self.lost += 1,
        }
    }
}

/// Takes an interface of a container away, and with it its port of a network; one that is gone is no failure.
///
/// # Errors
/// What the kernel refuses.
pub fn unplug(interface: &str, container: BorrowedFd<'_>) -> Result<(), Failure> {
    plug::unplug(interface, container)
}

/// What is said of a membership that goes over to another process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Passed {
    network: UserNetwork,
    wish: Wish,
    place: Place,
}

impl Passed {
    /// The network.
    pub fn network(&self) -> &UserNetwork {
        &self.network
    }
}

/// Has a network that is up ask these servers for names that are none of its own. One that is not up reads it in its
/// record.
///
/// # Errors
/// When the keeper does not answer.
pub fn ask_of(runtime: &Path, network: &UserNetwork) -> Result<(), Failure> {
    let name = &network.name;
    let dir = directory(runtime, network)?;
    write_servers(dir.as_fd(), &network.dns_servers).doing("note servers of", name)?;
    let link = match dial(dir.as_fd()) {
        Ok(link) => link,
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => return Ok(()),
        Err(e) => return Err(Failure::new(Step::ReachKeeper, name, e)),
    };
    link.send(&Ask::Servers(network.dns_servers.clone()), &[]).doing(Step::ReachKeeper, name)?;
    match hear(&link, name, ANSWERS_WITHIN)? {
        Some((Told::Up, _)) => Ok(()),
        _ => Err(unreachable(name, "it has ended")),
    }
}

/// Removes what a network has in the runtime directory, which is on its way out itself or gone; whether nothing is left.
/// A keeper that waits for the next member finds none, and ends by itself.
pub fn forget(runtime: &Path, id: &str) -> bool {
    entrance::remove(runtime, id)
}

/// The networks that have something in the runtime directory, by the beginnings of their ids.
pub fn directories(runtime: &Path) -> Vec<String> {
    entrance::all(runtime)
}

/// Whether nobody is on such a network.
pub fn is_deserted(runtime: &Path, name: &str) -> bool {
    entrance::is_deserted(runtime, name)
}

/// Lets the keepers of a container's networks know of each other, as far as they do not yet.
pub fn introduce(all: &mut [Membership]) {
    let known: Vec<OtherNetwork> = all
        .iter()
        .map(|member| OtherNetwork { id: member.network.id.clone(), outside: !member.network.internal })
        .collect();
    for member in all {
        let others: Vec<OtherNetwork> =
            known.iter().filter(|other| other.id != member.network.id).cloned().collect();
        if member.wish.others != others {
            // One that is gone is told when another one has taken its place.
            let _ = member.link.send(&Ask::Others(others.clone()), &[]);
            member.wish.others = others;
        }
    }
}

/// What a member gets of the keeper.
struct Entered {
    link: Link,
    namespace: OwnedFd,
    place: Place,
}

/// Comes to the keeper, which is started if there is none; `namespace` is the network's, for who has been here before.
fn enter(
    dir: BorrowedFd<'_>,
    network: &UserNetwork,
    wish: &Wish,
    tools: &Tools,
    namespace: Option<BorrowedFd<'_>>,
) -> Result<Entered, Failure> {
    let begun = Instant::now();
    loop {
        let link = reach(dir, network, tools, namespace)?;
        let told = match &link {
            Some(link) => match link.send(&Ask::Join(wish.clone()), &[]) {
                Ok(()) => hear(link, &network.name, ANSWERS_WITHIN)?,
                Err(Errno::EPIPE) => None,
                Err(e) => return Err(Failure::new(Step::ReachKeeper, &network.name, e)),
            },
            None => None,
        };
        match (link, told) {
            (Some(link), Some((Told::Joined(place), fds))) => {
                let lost = || unreachable(&network.name, "the namespace is missing");
                let namespace = fds.into_iter().next().ok_or_else(lost)?;
                return Ok(Entered { link, namespace, place });
            }
            (_, Some((Told::Refused(refusal), _))) => return Err(refused(network, &refusal)),
            // It was killed, or others are about to start one.
            _ if begun.elapsed() < PATIENCE => std::thread::sleep(LOOK_EVERY),
            _ => return Err(unreachable(&network.name, "it does not answer")),
        }
    }
}

/// A connection to the keeper; `None` when others have to start it, who have its namespace.
fn reach(
    dir: BorrowedFd<'_>,
    network: &UserNetwork,
    tools: &Tools,
    namespace: Option<BorrowedFd<'_>>,
) -> Result<Option<Link>, Failure> {
    // Held until the connection is made: then the keeper does not end any more.
    let _lock = lock(dir, LOCK, FlockArg::LockExclusive).doing("lock network", &network.name)?;
    match dial(dir) {
        Ok(link) => return Ok(Some(link)),
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => {}
        Err(e) => return Err(Failure::new(Step::ReachKeeper, &network.name, e)),
    }
    if namespace.is_none() && lock(dir, MEMBERS, FlockArg::LockExclusiveNonblock).is_err() {
        return Ok(None);
    }
    start(network, tools, dir, namespace)?;
    dial(dir).doing(Step::ReachKeeper, &network.name).map(Some)
}

/// Why a container is no member, for its command to explain.
fn refused(network: &UserNetwork, refusal: &Refusal) -> Failure {
    let (why, errno) = match refusal {
        Refusal::Taken(address) => (format!("IP address {address} is already allocated"), Errno::EADDRINUSE),
        Refusal::Outside(address) => {
            (format!("requested ip address {address} not in any subnet"), Errno::EADDRNOTAVAIL)
        }
        Refusal::NoFamily(address) => {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            (format!("requested ip address {address}, and the network has no {family}"), Errno::EAFNOSUPPORT)
        }
        Refusal::Full(subnet) => (format!("no free address in {subnet}"), Errno::ENOSPC),
    };
    Failure::other(Step::GetAddress, &network.name, why).as_if(errno).in_stage("network")
}

/// Starts a keeper; its socket listens when this returns. The lock is held.
fn start(
    network: &UserNetwork,
    tools: &Tools,
    dir: BorrowedFd<'_>,
    namespace: Option<BorrowedFd<'_>>,
) -> Result<(), Failure> {
    let what = "the network's keeper";
    match unlinkat(dir, ENTRANCE, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(e) => return Err(Failure::new("remove the socket of", what, e)),
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let entrance = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).doing(Step::Start, what)?;
    address(dir).and_then(|address| bind(entrance.as_raw_fd(), &address)).doing("listen for", what)?;
    listen(&entrance, Backlog::MAXCONN).doing("listen for", what)?;
    let start = Start {
        network,
        dir,
        entrance: entrance.as_fd(),
        namespace,
        program: tools.slirp.clone(),
        leave: tools.leave.clone(),
        runtime: tools.runtime.clone(),
    };
    // By way of a process that ends at once: the keeper is nobody's child, and outlives its starter.
    let between = fork::spawn(0, |link| match fork::spawn(0, |_| keeper::main(start, link)) {
        Ok(_) => 0,
        Err(_) => 1,
    })
    .doing(Step::Start, what)?;
    let heard = between.link.recv::<Begun>().doing("hear from", what)?;
    between.wait().doing("wait for", what)?;
    match heard {
        Some((Begun::Ready, _)) => Ok(()),
        Some((Begun::Failed(failure), _)) => Err(failure),
        None => Err(Failure::other(Step::Start, what, "it died")),
    }
}
