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
mod keeper;
mod members;
mod message;
mod namespace;
mod plug;
mod token;
mod uplink;

pub use members::{Refusal, Wish};

use crate::fork::{self, Doing, Failure, Link, Step};
use crate::spec::bridge::{Attached, UserNetwork};
use entrance::{ENTRANCE, LOCK, MEMBERS, address, dial, directory, lock};
use keeper::{Begun, Start};
use message::{Ask, Place, Told};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, bind, listen, socket};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The domain of containers' names.
pub use dns::DOMAIN;
#[cfg(fuzzing)]
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
    _shared: Flock<File>,
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
        let shared = lock(dir.as_fd(), MEMBERS, FlockArg::LockShared).doing("join network", &network.name)?;
        Ok(Membership {
            network: network.clone(),
            wish: wish.clone(),
            tools: tools.clone(),
            link,
            namespace,
            place,
            _shared: shared,
            lost: 0,
        })
    }

    /// What the container has there.
    pub fn attached(&self) -> &Attached {
        &self.place.attached
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

    /// Disconnects it.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn unplug(&self, container: BorrowedFd<'_>) -> Result<(), Failure> {
        plug::unplug(&self.place.attached.interface, self.namespace.as_fd(), container)
    }

    /// Waits until the network reaches the outside, if it does at all.
    ///
    /// # Errors
    /// Why it does not.
    pub fn wait_up(&self) -> Result<(), Failure> {
        match self.link.recv::<Told>().doing("hear from", "the network's keeper")? {
            Some((Told::Up, _)) => Ok(()),
            Some((Told::Down(failure), _)) => Err(failure),
            _ => Err(Failure::other("reach", "the network's keeper", "it has ended")),
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
            Some(link) => link
                .send(&Ask::Join(wish.clone()), &[])
                .and_then(|()| link.recv::<Told>())
                .or_else(|e| if e == Errno::EPIPE { Ok(None) } else { Err(e) })
                .doing("hear from", "the network's keeper")?,
            None => None,
        };
        match (link, told) {
            (Some(link), Some((Told::Joined(place), fds))) => {
                let lost = || Failure::other("hear from", "the network's keeper", "the namespace is missing");
                let namespace = fds.into_iter().next().ok_or_else(lost)?;
                return Ok(Entered { link, namespace, place });
            }
            (_, Some((Told::Refused(refusal), _))) => return Err(refused(network, &refusal)),
            // It was killed, or others are about to start one.
            _ if begun.elapsed() < PATIENCE => std::thread::sleep(LOOK_EVERY),
            _ => return Err(Failure::other("reach", "the network's keeper", "it does not answer")),
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
        Err(e) => return Err(Failure::new("reach", "the network's keeper", e)),
    }
    if namespace.is_none() && lock(dir, MEMBERS, FlockArg::LockExclusiveNonblock).is_err() {
        return Ok(None);
    }
    start(network, tools, dir, namespace)?;
    dial(dir).doing("reach", "the network's keeper").map(Some)
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
