//! The keeper of a network: the one small process that it has while containers are on it.
//!
//! Theory of operation. The first monitor that comes starts it, under the network's lock. It is in the shared user
//! namespace and in the host's network. It holds the network's namespace, keeps slirp4netns going, gives out addresses and
//! answers for names. A member is a connection: it says what it wants, gets its place, and is gone when the connection is, however
//! its monitor has ended; so nothing about members is written down, and nothing can be left over. With the last member
//! it waits a moment for the next one, and ends under the lock, so that who holds it finds either a keeper that stays or
//! none.
//!
//! If it is killed, the members notice. Each of them holds the namespace; the first to get the lock starts another keeper with
//! it, and all come again with the addresses that they have. Until they have come, addresses that the bridge knows
//! are given to nobody else.
//!
//! It has one thread and one epoll, and forks only helpers and slirp4netns.

use super::dns::Resolver;
use super::entrance;
use super::members::Members;
use super::message::{Ask, Place, Told};
use super::namespace::Namespace;
use super::token::Token;
use super::uplink::Uplink;
use crate::fork::{Doing, Failure, Link};
use crate::spec::bridge::UserNetwork;
use crate::sys::{process, random};
use crate::userns;
use nix::errno::Errno;
use nix::fcntl::FlockArg;
use nix::mount::{MntFlags, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::socket::{SockFlag, accept4};
use nix::unistd;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How many events one wait takes.
const EVENTS_MAX: usize = 64;
/// How long it waits for the next member.
const GRACE: Duration = Duration::from_secs(1);
/// How long nothing has happened when it gives back memory.
const SETTLED: Duration = Duration::from_millis(500);
/// How long members of a keeper that was killed have to come again.
const RETURN: Duration = Duration::from_secs(10);

/// What a keeper is started with.
#[derive(Debug)]
pub(super) struct Start<'a> {
    pub(super) network: &'a UserNetwork,
    /// The network's directory below the runtime directory, whose lock the starter holds.
    pub(super) dir: BorrowedFd<'a>,
    /// Where members come in, listening.
    pub(super) entrance: BorrowedFd<'a>,
    /// The namespace, when there is one.
    pub(super) namespace: Option<BorrowedFd<'a>>,
    /// slirp4netns; none for a network that is to reach nothing outside.
    pub(super) program: Option<PathBuf>,
    /// Mounts of the starter's that would stay as long as the keeper does.
    pub(super) leave: Vec<PathBuf>,
    /// The runtime directory.
    pub(super) runtime: PathBuf,
}

/// What it says to its starter.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Begun {
    Ready,
    Failed(Failure),
}

/// The keeper's life; returns its exit code.
pub(super) fn main(start: Start<'_>, link: Link) -> i32 {
    let begun = Keeper::begin(start, &link);
    let said = match &begun {
        Ok(_) => Begun::Ready,
        Err(failure) => Begun::Failed(failure.clone().in_stage("network")),
    };
    let sent = link.send(&said, &[]);
    drop(link);
    match (begun, sent) {
        (Ok(mut keeper), Ok(())) => i32::from(keeper.run().is_err()),
        _ => 1,
    }
}

struct Keeper {
    network: UserNetwork,
    _enlisted: Option<userns::Membership>,
    epoll: Epoll,
    dir: OwnedFd,
    entrance: OwnedFd,
    namespace: Namespace,
    uplink: Option<Uplink>,
    /// Whether the uplink is ready, or why it is not; unknown until then.
    up: Option<Result<(), Failure>>,
    resolver: Resolver,
    members: Members,
    links: HashMap<u64, Link>,
    next: u64,
    /// When the last member has gone.
    empty: Option<Instant>,
    /// When who had an address before is not waited for any more.
    returned: Option<Instant>,
    /// When memory is given back that only work needs.
    shrinks: Option<Instant>,
}

impl Keeper {
    fn begin(start: Start<'_>, link: &Link) -> Result<Keeper, Failure> {
        let Start { network, dir, entrance, namespace, program, leave, runtime } = start;
        let existed = namespace.is_some();
        let kept: Vec<BorrowedFd<'_>> = namespace.into_iter().chain([link.as_fd(), dir, entrance]).collect();
        settle(&kept, &leave)?;
        // The network's namespace belongs to the shared user namespace: as long as there is the one, who comes has to
        // find the other.
        let enlisted = userns::enlist(&runtime)?;
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().doing("copy", "a descriptor");
        let (dir, entrance) = (copy(dir)?, copy(entrance)?);
        let mut namespace = Namespace::make(network, namespace)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).doing("wait for", "members")?;
        let read = |token: Token| EpollEvent::new(EpollFlags::EPOLLIN, token.into());
        epoll.add(&entrance, read(Token::Entrance)).doing("wait for", "members")?;
        let doors = std::mem::take(&mut namespace.doors);
        let servers = entrance::read_servers(dir.as_fd()).unwrap_or_else(|| network.dns_servers.clone());
        let own_dir = copy(dir.as_fd())?;
        let resolver = Resolver::new(&epoll, doors, !network.internal, servers, own_dir)
            .doing("answer", "questions for names")?;
        let mut members = Members::new(network.clone());
        if existed {
            members.reserve(in_use(&namespace));
        }
        let mut keeper = Keeper {
            network: network.clone(),
            _enlisted: enlisted,
            epoll,
            dir,
            entrance,
            namespace,
            uplink: None,
            up: None,
            resolver,
            members,
            links: HashMap::new(),
            next: 1,
            empty: Some(Instant::now()),
            returned: existed.then(|| Instant::now() + RETURN),
            shrinks: Some(Instant::now() + SETTLED),
        };
        match program.filter(|_| !network.internal) {
            Some(program) => {
                let uplink = Uplink::start(network, program, &keeper.namespace)?;
                keeper.watch(uplink)?;
            }
            None => keeper.up = Some(Ok(())),
        }
        Ok(keeper)
    }

    fn run(&mut self) -> nix::Result<()> {
        let mut events = vec![EpollEvent::empty(); EVENTS_MAX];
        loop {
            let now = Instant::now();
            if self.may_end(now) {
                return Ok(());
            }
            let timeout = self.patience(now).map_or(EpollTimeout::NONE, |wait| {
                // Rounded up, so that it does not wake just before.
                EpollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX)
            });
            let count = match self.epoll.wait(&mut events, timeout) {
                Err(Errno::EINTR) => 0,
                other => other?,
            };
            for event in &events[..count] {
                self.handle(event.data().into());
            }
            let now = Instant::now();
            self.resolver.expire(&self.epoll, now);
            if count > 0 {
                self.shrinks = Some(now + SETTLED);
            } else if self.shrinks.is_some_and(|at| at <= now) {
                self.shrinks = None;
                process::shrink();
            }
            if self.returned.is_some_and(|until| until <= now) {
                self.returned = None;
                for address in self.members.end_reservations() {
                    self.forget(address);
                }
            }
        }
    }

    fn patience(&self, now: Instant) -> Option<Duration> {
        let own = [self.empty.map(|since| since + GRACE), self.returned, self.shrinks];
        let own = own.into_iter().flatten().map(|until| until.saturating_duration_since(now));
        own.chain(self.resolver.patience(now)).min()
    }

    /// Whether nobody is here and nobody can be about to come. The lock goes with the process.
    fn may_end(&mut self, now: Instant) -> bool {
        if self.empty.is_none_or(|since| now.saturating_duration_since(since) < GRACE) {
            return false;
        }
        let lock = entrance::lock(self.dir.as_fd(), entrance::LOCK, FlockArg::LockExclusiveNonblock);
        // The network was removed, directory and all: nobody finds the entrance any more.
        if matches!(lock, Err(Errno::ENOENT)) && !waits(&self.entrance) {
            return true;
        }
        // Who has come under the lock before is waiting at the entrance.
        let Some(lock) = lock.ok().filter(|_| !waits(&self.entrance)) else {
            self.empty = Some(now);
            return false;
        };
        let _ = unistd::unlinkat(&self.dir, entrance::ENTRANCE, unistd::UnlinkatFlags::NoRemoveDir);
        // Held to the end of the process.
        std::mem::forget(lock);
        true
    }

    fn handle(&mut self, token: Token) {
        match token {
            Token::Entrance => self.welcome(),
            Token::Member(number) => self.hear(number),
            Token::Door(door) => self.resolver.at_door(&self.epoll, &self.members, door),
            Token::Stream(number) => self.resolver.at_stream(&self.epoll, &self.members, number),
            Token::Question(number) => self.resolver.at_question(&self.epoll, number),
            Token::UplinkReady => self.uplink_is_ready(),
            Token::UplinkEnded => self.uplink_has_ended(),
        }
    }

    fn welcome(&mut self) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let Ok(fd) = accept4(self.entrance.as_raw_fd(), flags) else { return };
        let link = Link::from_fd(crate::sys::fd::owned(fd));
        let number = self.next;
        self.next += 1;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, Token::Member(number).into());
        if self.epoll.add(&link, event).is_ok() {
            self.links.insert(number, link);
            self.empty = None;
        }
    }

    fn hear(&mut self, number: u64) {
        let Some(link) = self.links.get(&number) else { return };
        match link.recv::<Ask>() {
            Ok(Some((Ask::Join(wish), _))) => {
                let told = self.members.join(number, &wish);
                let sent = match told {
                    Ok(attached) => {
                        if let Some(filter) = &self.namespace.filter {
                            let all: Vec<IpAddr> = attached.addresses.iter().map(|has| has.address).collect();
                            let _ = filter.admit(&attached.mac, &all);
                        }
                        let port = port_name();
                        let bridge = self.namespace.bridge;
                        let place = Told::Joined(Place { attached, port, bridge });
                        link.send(&place, &[self.namespace.fd.as_fd()])
                    }
                    Err(refusal) => link.send(&Told::Refused(refusal), &[]),
                };
                if sent.is_err() {
                    return self.dismiss(number);
                }
                if let Some(up) = &self.up {
                    let _ = link.send(&said(up), &[]);
                }
            }
            Ok(Some((Ask::Others(others), _))) => self.members.introduce(number, others),
            Ok(Some((Ask::Names(names), _))) => self.members.rename(number, &names),
            Ok(Some((Ask::Name(query), _))) => {
                let _ = link.send(&Told::Named(self.resolver.own(&self.members, &query)), &[]);
            }
            Ok(Some((Ask::Servers(servers), _))) => {
                let _ = link.send(&Told::Up, &[]);
                self.resolver.ask_of(servers);
            }
            Err(Errno::EAGAIN) => {}
            Ok(None) | Err(_) => self.dismiss(number),
        }
    }

    fn dismiss(&mut self, number: u64) {
        self.links.remove(&number);
        for (address, mac) in self.members.leave(number) {
            self.forget(address);
            if let Some(filter) = &self.namespace.filter {
                let _ = filter.dismiss(&mac, address);
            }
        }
        if self.links.is_empty() {
            self.empty = Some(Instant::now());
        }
    }

    /// Nobody has this address any more.
    fn forget(&self, address: IpAddr) {
        // It may never have been connected.
        let _ = self.namespace.netlink.forget_neighbour(self.namespace.bridge, address);
    }

    fn watch(&mut self, uplink: Uplink) -> Result<(), Failure> {
        let read = |token: Token| EpollEvent::new(EpollFlags::EPOLLIN, token.into());
        self.epoll.add(uplink.ready(), read(Token::UplinkReady)).doing("wait for", "the uplink")?;
        self.epoll.add(uplink.pidfd(), read(Token::UplinkEnded)).doing("wait for", "the uplink")?;
        self.uplink = Some(uplink);
        Ok(())
    }

    fn uplink_is_ready(&mut self) {
        let Some(uplink) = &self.uplink else { return };
        let _ = self.epoll.delete(uplink.ready());
        let up = uplink.connect(&self.namespace);
        for link in self.links.values() {
            let _ = link.send(&said(&up), &[]);
        }
        self.up = Some(up);
    }

    fn uplink_has_ended(&mut self) {
        let Some(ended) = self.uplink.take() else { return };
        if self.up.is_none() {
            // It says why.
            self.uplink = Some(ended);
            self.uplink_is_ready();
            let Some(ended) = self.uplink.take() else { return };
            let _ = self.epoll.delete(ended.pidfd());
            return;
        }
        let _ = self.epoll.delete(ended.pidfd());
        if let Ok(Some(next)) = ended.again(&self.network, &self.namespace) {
            // It is of no use without being watched; the members have what they have.
            let _ = self.watch(next);
        }
    }
}

fn said(up: &Result<(), Failure>) -> Told {
    match up {
        Ok(()) => Told::Up,
        Err(failure) => Told::Down(failure.clone()),
    }
}

/// Leaves what is the starter's.
fn settle(kept: &[BorrowedFd<'_>], leave: &[PathBuf]) -> Result<(), Failure> {
    // It may be traced from the shared user namespace and above, where others join through it: containers are below.
    crate::netns::leave_caller(kept)?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).doing("set", "the signal mask")?;
    if !leave.is_empty() {
        unshare(CloneFlags::CLONE_NEWNS).doing("leave", "a container's mounts")?;
        for mount in leave {
            // What is not mounted is left already.
            let _ = umount2(mount, MntFlags::MNT_DETACH);
        }
    }
    Ok(())
}

/// Whether somebody waits to come in.
fn waits(entrance: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(entrance.as_fd(), PollFlags::POLLIN)];
    !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0))
}

/// The addresses of who is connected: those of hardware addresses that are behind ports which there are.
fn in_use(namespace: &Namespace) -> Vec<IpAddr> {
    let Namespace { netlink, bridge, .. } = namespace;
    let (Ok(neighbours), Ok(pinned)) = (netlink.neighbours(*bridge), netlink.pinned()) else {
        return Vec::new();
    };
    neighbours.into_iter().filter(|n| pinned.contains(&n.mac)).map(|n| n.address).collect()
}

/// A name that no port here has had: what was there before may still be on its way out.
fn port_name() -> String {
    let mut bytes = [0u8; 5];
    // Without it the kernel refuses a name that is taken.
    let _ = random::fill(&mut bytes);
    bytes.iter().fold("v".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}
