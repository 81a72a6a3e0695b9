//! slirp4netns: user-mode networking by a separate program.
//!
//! Theory of operation. slirp4netns creates a tap interface inside the container's network namespace and speaks
//! TCP/IP to it from an ordinary process on the host. It gets the namespaces as descriptors (the container's
//! processes are non-dumpable, so it could not open them by pid). When the interface is configured, it writes
//! one byte to the ready pipe. It exits when the exit pipe is closed, whose other end the monitor holds, so it
//! ends however the monitor ends. It runs with its sandbox and seccomp filter, without our environment,
//! standard streams or other descriptors.

pub(super) mod options;

use super::driver::{Driver, Helper, Tool};
use super::program::{Log, become_program, has_ended, leave_monitor, says_of_its_version, unready};
use super::{HostResolver, Reach};
use crate::error::{Error, Kind, Result};
use crate::fork::{self, Child, Doing, Failure, Link, Step};
use crate::spec::network::SlirpOptions;
use crate::sys::fd::close_all_but;
use crate::sys::process;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::unistd;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The program's name, and the stage name of its failures.
pub const NAME: &str = "slirp4netns";
/// The interface inside the container.
pub(super) const INTERFACE: &str = "tap0";
/// How long slirp4netns may take to configure the interface, in milliseconds.
const READY_TIMEOUT: u16 = 10_000;

/// What slirp4netns does to its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Configure {
    /// Gives it addresses and routes: it is the namespace's only one.
    All,
    /// Makes it.
    Nothing,
}

/// A running slirp4netns. It ends when this value is dropped or its owner dies.
#[derive(Debug)]
pub struct Slirp {
    child: Child,
    ready: OwnedFd,
    /// Its closing is what slirp4netns leaves at.
    _exit: OwnedFd,
    log: Log,
}

/// Finds the program in `PATH` and the usual places.
///
/// # Errors
/// `Host` with the package to install.
pub fn find() -> Result<PathBuf> {
    process::find_program(NAME, &process::USUAL_PLACES).ok_or_else(not_installed)
}

fn not_installed() -> Error {
    Error::new(Kind::Host, "slirp4netns, which connects containers to the network, is not installed")
        .hint("Install it: sudo apt install slirp4netns (or dnf, zypper). Without network: --network none.")
}

/// Starts slirp4netns on a container's network namespace and returns at once.
///
/// The caller must have power over the user namespace that owns `netns`. slirp4netns does not go into that
/// one: a container that may trace must not reach anything of ours.
///
/// # Errors
/// A failed system call. That the program could not be executed shows in [`Slirp::wait_ready`].
pub fn spawn(program: &Path, options: &SlirpOptions, netns: BorrowedFd<'_>) -> Result<Slirp, Failure> {
    start(program, options, Configure::All, netns)
}

/// As [`spawn`], with this done to the interface.
pub(super) fn start(
    program: &Path,
    options: &SlirpOptions,
    configure: Configure,
    netns: BorrowedFd<'_>,
) -> Result<Slirp, Failure> {
    begin(program, options, configure, netns).map_err(|failure| failure.in_stage(NAME))
}

fn begin(
    program: &Path,
    options: &SlirpOptions,
    configure: Configure,
    netns: BorrowedFd<'_>,
) -> Result<Slirp, Failure> {
    if options.ipv6 && configure == Configure::All {
        skip_address_detection(netns)?;
    }
    let pipe = || unistd::pipe2(OFlag::O_CLOEXEC).doing("make a pipe for", NAME);
    let (ready, ready_theirs) = pipe()?;
    let (exit_theirs, exit) = pipe()?;
    let log = Log::new().doing("keep the error output of", NAME)?;
    let child = fork::spawn(0, |link| {
        let fds = Handed { netns, ready: ready_theirs.as_fd(), exit: exit_theirs.as_fd() };
        let Err(failure) = execute(program, options, configure, &fds, &log);
        // The parent may be gone; then nobody asks.
        let _ = link.send(&failure, &[]);
        127
    })
    .doing(Step::Start, program)?;
    Ok(Slirp { child, ready, _exit: exit, log })
}

/// Makes IPv6 addresses usable at once: nobody else is on this link, so the kernel need not spend two
/// seconds on looking for a second owner of them (`accept_dad`, set before the interface is there).
fn skip_address_detection(netns: BorrowedFd<'_>) -> Result<(), Failure> {
    let set = |link: &Link| {
        close_all_but(&[netns, link.as_fd()])?;
        setns(netns, CloneFlags::CLONE_NEWNET)?;
        std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").map_err(|_| Errno::EACCES)
    };
    // Without it, IPv6 is late, not wrong: the failure is not reported.
    let child = fork::spawn(0, |link| i32::from(set(&link).is_err()))
        .doing(Step::Start, format!("a helper of {NAME}"))?;
    child.wait().doing("wait for a helper of", NAME).map(drop)
}

/// The descriptors slirp4netns is given.
struct Handed<'a> {
    netns: BorrowedFd<'a>,
    ready: BorrowedFd<'a>,
    exit: BorrowedFd<'a>,
}

/// Becomes slirp4netns; returns only a failure.
fn execute(
    program: &Path,
    options: &SlirpOptions,
    configure: Configure,
    fds: &Handed<'_>,
    log: &Log,
) -> Result<std::convert::Infallible, Failure> {
    leave_monitor(NAME, log)?;
    let hand = |fd: BorrowedFd<'_>| fcntl(fd, FcntlArg::F_DUPFD(3)).doing("hand a descriptor to", NAME);
    let words = arguments(options, configure, hand(fds.netns)?, hand(fds.ready)?, hand(fds.exit)?);
    become_program(program, words)
}

/// The command line (slirp4netns(1)).
fn arguments(options: &SlirpOptions, configure: Configure, netns: i32, ready: i32, exit: i32) -> Vec<String> {
    let mut words = vec![NAME.to_owned()];
    if configure == Configure::All {
        words.push("--configure".to_owned());
    }
    words.extend([
        format!("--mtu={}", options.mtu),
        format!("--cidr={}", options.cidr),
        "--enable-sandbox".to_owned(),
        "--enable-seccomp".to_owned(),
        format!("--ready-fd={ready}"),
        format!("--exit-fd={exit}"),
        "--netns-type=path".to_owned(),
    ]);
    if !options.allow_host_loopback {
        words.push("--disable-host-loopback".to_owned());
    }
    if options.ipv6 {
        words.push("--enable-ipv6".to_owned());
    }
    words.extend(options.mac.iter().map(|mac| format!("--macaddress={mac}")));
    words.extend(options.outbound_addr.iter().map(|from| format!("--outbound-addr={from}")));
    words.extend(options.outbound_addr6.iter().map(|from| format!("--outbound-addr6={from}")));
    words.push(format!("/proc/self/fd/{netns}"));
    words.push(INTERFACE.to_owned());
    words
}

impl Slirp {
    /// Readable when the interface is configured, or when slirp4netns has failed.
    pub fn ready(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }

    /// A descriptor of the process, readable when it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd.as_fd()
    }

    /// Waits until the interface is configured, at most ten seconds.
    ///
    /// # Errors
    /// What slirp4netns wrote before it gave up, or that it could not be executed.
    pub fn wait_ready(&self) -> Result<(), Failure> {
        loop {
            let mut fds = [PollFd::new(self.ready(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(READY_TIMEOUT)) {
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Failure::new("wait for", NAME, e)),
                Ok(0) => return Err(self.failed("the network was not ready after ten seconds")),
                Ok(_) => break,
            }
        }
        let mut byte = [0u8; 1];
        match unistd::read(&self.ready, &mut byte) {
            Ok(1) => Ok(()),
            _ => Err(self.failed("it ended without a message")),
        }
    }

    /// What slirp4netns wrote to its standard error, at most 16 KiB.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The failure of a process that did not become ready: its own, or the last lines it wrote.
    fn failed(&self, otherwise: &str) -> Failure {
        // The ready pipe also closes when the program could not be executed; then the link has the reason.
        if self.has_failure()
            && let Ok(Some((failure, _))) = self.child.link.recv::<Failure>()
        {
            return failure.in_stage(NAME);
        }
        unready(NAME, self.log.end().unwrap_or_else(|| otherwise.to_owned()))
    }

    /// Whether the link has something to read, without waiting for a process that hangs.
    fn has_failure(&self) -> bool {
        let link: &Link = &self.child.link;
        let mut fds = [PollFd::new(link.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, PollTimeout::from(1000u16)), Ok(1))
    }
}

impl Helper for Slirp {
    fn pid(&self) -> unistd::Pid {
        self.child.pid
    }

    fn has_ended(&self) -> bool {
        has_ended(self.pidfd())
    }

    fn wait_ready(&self) -> Result<(), Failure> {
        Slirp::wait_ready(self)
    }
}

impl Driver for SlirpOptions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn validate(&self) -> Result<Tool> {
        find().map(Tool::of)
    }

    fn set_up(&self, tool: &Tool, _: &Path, netns: BorrowedFd<'_>) -> Result<Box<dyn Helper>, Failure> {
        Ok(Box::new(spawn(&tool.program, self, netns)?))
    }

    fn explain(&self, tool: &Tool, failure: &Failure) -> Error {
        explain(&tool.program, failure)
    }

    fn reach(&self, _: Option<&Tool>) -> Reach {
        Reach::from(self)
    }

    fn host(&self, primary: Option<Ipv4Addr>, _: Option<&Tool>) -> Option<IpAddr> {
        let open = if self.allow_host_loopback { None } else { primary };
        Some(open.unwrap_or(self.gateway()).into())
    }

    fn servers(&self, listed: &[IpAddr], host: &HostResolver) -> Vec<IpAddr> {
        let reachable =
            |ip: &IpAddr| !ip.is_loopback() && !ip.is_unspecified() && (ip.is_ipv4() || self.ipv6);
        let outside = listed.iter().copied().filter(reachable);
        // slirp4netns passes questions to an IPv4 server only; glibc asks 127.0.0.1 when it finds none.
        let relayed = host.relayed && (listed.is_empty() || listed.iter().any(IpAddr::is_ipv4));
        let own = IpAddr::V4(self.dns());
        let servers: Vec<IpAddr> = relayed.then_some(own).into_iter().chain(outside).collect();
        // Better a server that may not answer than the C library's guess, the container's own loopback.
        if servers.is_empty() { vec![own] } else { servers }
    }
}

/// Turns a failure of [`spawn`] or [`Slirp::wait_ready`] into a message with a hint.
pub fn explain(program: &Path, failure: &Failure) -> Error {
    let text = failure.describe();
    let error = Error::new(Kind::Network, format!("the container's network could not be set up: {text}"));
    if failure.errno() == Errno::ENOENT && failure.step() == Step::Execute {
        return not_installed().caused_by(error);
    }
    if failure.step() == Step::OpenTun {
        return error.hint(tun_hint());
    }
    match too_old(program) {
        Some(found) => error.hint(format!(
            "{} is version {}.{}; version 1.2 or newer is needed: sudo apt install slirp4netns.",
            program.display(),
            found.0,
            found.1
        )),
        _ if !Path::new("/dev/net/tun").exists() => error.hint(tun_hint()),
        _ => error.hint("Try without network: --network none."),
    }
}

pub(super) fn tun_hint() -> &'static str {
    "Make /dev/net/tun usable: sudo modprobe tun && sudo chmod 0666 /dev/net/tun. Without network: --network none."
}

/// The program's version where it is older than 1.2, which has what we ask for.
pub fn too_old(program: &Path) -> Option<(u32, u32)> {
    version(&says_of_its_version(program)).filter(|found| *found < (1, 2))
}

/// Reads `slirp4netns version 1.2.0` from the first line.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.lines().next()?.strip_prefix("slirp4netns version ")?.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::parse_network;
    use crate::spec::NetworkMode;

    fn line(network: &str) -> String {
        let NetworkMode::Slirp(options) = parse_network(network).unwrap() else { panic!("{network}") };
        arguments(&options, Configure::All, 10, 12, 13).join(" ")
    }

    #[test]
    fn the_command_line_follows_the_options() {
        assert_eq!(
            line("slirp4netns"),
            "slirp4netns --configure --mtu=65520 --cidr=10.0.2.0/24 --enable-sandbox --enable-seccomp \
             --ready-fd=12 --exit-fd=13 --netns-type=path \
             --disable-host-loopback /proc/self/fd/10 tap0"
        );
        let all = line(
            "slirp4netns:allow_host_loopback=true,enable_ipv6=true,outbound_addr=eth0,outbound_addr6=fd00::1",
        );
        assert!(!all.contains("--disable-host-loopback"), "{all}");
        for word in ["--enable-ipv6", "--outbound-addr=eth0", "--outbound-addr6=fd00::1"] {
            assert!(all.split(' ').any(|w| w == word), "{all}");
        }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(version("slirp4netns version 1.2.0\ncommit: x"), Some((1, 2)));
        assert_eq!(version("slirp4netns version 1.0.1-beta"), Some((1, 0)));
        assert_eq!(version("slirp4netns version 1.2+dev"), Some((1, 2)));
        assert_eq!(version("something else"), None);
    }

    #[test]
    fn a_missing_device_and_a_missing_program_have_their_cure() {
        let failure = unready(NAME, "open(\"/dev/net/tun\"): Permission denied".to_owned());
        let e = explain(Path::new("/usr/bin/slirp4netns"), &failure);
        assert!(e.hints()[0].contains("chmod 0666 /dev/net/tun"));
        let e = explain(Path::new("/nowhere"), &Failure::new(Step::Execute, "/nowhere", Errno::ENOENT));
        assert!(e.hints()[0].contains("apt install slirp4netns"));
    }
}
