//! pasta: user-mode networking by a separate program, with the host's own addresses.
//!
//! Theory of operation. pasta puts a tap interface into the container's network namespace, gives it the address and the
//! routes that the host has, and turns what comes out of it into sockets of the host (pasta(1)). It takes the namespace as
//! a path alone and closes descriptors that it is started with, and the container's processes are non-dumpable, so there is
//! no path in /proc for it. It therefore gets a mount namespace of its own, in which the directory of our volatile state
//! is covered by a small tmpfs with two files: `net`, on which the namespace is mounted, and `ready`, a FIFO that it takes
//! for its pid file, which it writes when the interface is configured. Both go with it. It stays our child, in the
//! foreground, and dies with us; it changes no credentials, which would take that back (prctl(2), PR_SET_PDEATHSIG).
//!
//! Published ports are the forwarder's ([`super::forwarder`]), as with every driver. Versions without `--map-guest-addr`
//! have no address for a host whose own address the container shares; there the container gets another one.

pub(super) mod options;

use super::driver::{Driver, Helper, Tool};
use super::program::{Log, become_program, has_ended, leave_monitor, unready};
use super::reach::Four;
use super::{HostResolver, Reach, host_address};
use crate::error::{Error, Kind, Result};
use crate::fork::{self, Child, Doing, Failure, Step};
use crate::spec::pasta::PastaOptions;
use crate::sys::fd::command;
use crate::sys::process;
use crate::userns;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::ifaddrs::getifaddrs;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd;
use std::cell::RefCell;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The program's name, and the stage name of its failures.
pub const NAME: &str = "pasta";
/// How long pasta may take to configure the interface.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// The address of the name server inside, as podman has it.
const DNS: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The host's address inside, as podman has it.
const HOST: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 2);
/// Who stands for the host when a client of its loopback comes by IPv6.
const HOST6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xa9fe, 0x0102, 0, 0, 0, 0, 2);
/// The address that pasta takes on a host without any (pasta(1), "Local mode").
const LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 2, 1);
/// The container's address and its gateway's where it cannot have the host's; slirp4netns' own.
const APART: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(10, 0, 2, 100), Ipv4Addr::new(10, 0, 2, 2));
/// Options that not every version has.
const NEWER: [&str; 2] = ["--map-guest-addr", "--stderr"];

/// Finds the program in `PATH` and the usual places.
///
/// # Errors
/// `Host` with the package to install.
pub fn find() -> Result<PathBuf> {
    process::find_program(NAME, &process::USUAL_PLACES).ok_or_else(not_installed)
}

fn not_installed() -> Error {
    Error::new(Kind::Host, "pasta, which connects containers to the network, is not installed").hint(
        "Install it: sudo apt install passt (or dnf, zypper). Without it: --network slirp4netns or none.",
    )
}

/// A running pasta. It ends when this value is dropped or its owner dies.
#[derive(Debug)]
struct Pasta {
    child: Child,
    /// What it says of itself, once it has.
    said: RefCell<Option<OwnedFd>>,
    log: Log,
}

/// What the forked process says before it becomes pasta.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
enum Word {
    /// With the FIFO that becomes readable when pasta is ready.
    Made,
    Failed(Failure),
}

impl PastaOptions {
    /// The container's address, and the gateway's where it is not the host's.
    fn addresses(&self, tool: Option<&Tool>) -> (Ipv4Addr, Option<Ipv4Addr>) {
        let given = |names: &[&str]| self.value(names).and_then(|text| text.parse().ok());
        let gateway = given(&["-g", "--gateway"]);
        if let Some(address) = given(&["-a", "--address"]) {
            return (address, gateway);
        }
        if self.is_apart(tool) {
            return (APART.0, Some(APART.1));
        }
        let of_interface = self.value(&["-i", "--interface"]).and_then(address_of);
        (of_interface.or_else(host_address).unwrap_or(LOCAL), gateway)
    }

    /// Whether the container has an address of its own, so that the host's is somebody else's to it.
    fn is_apart(&self, tool: Option<&Tool>) -> bool {
        let chosen = [
            "-a",
            "--address",
            "-n",
            "--netmask",
            "-g",
            "--gateway",
            "-i",
            "--interface",
            "-6",
            "--ipv6-only",
        ];
        tool.is_some_and(|tool| !tool.has("--map-guest-addr"))
            && !self.has(&chosen)
            && !self.has(&["--map-gw"])
    }

    /// Where questions about names go.
    fn dns(&self) -> Option<IpAddr> {
        match self.value(&["--dns-forward"]) {
            None => Some(DNS.into()),
            Some(text) => text.parse().ok(),
        }
    }

    /// The command line (pasta(1)): the user's words, and ours where they say nothing else.
    fn arguments(&self, tool: &Tool, place: &Path) -> Vec<String> {
        let mut words: Vec<String> =
            [NAME, "--config-net", "--foreground", "--quiet", "--no-netns-quit"].map(str::to_owned).into();
        if tool.has("--stderr") {
            words.push("--stderr".to_owned());
        }
        for names in [["-t", "--tcp-ports"], ["-u", "--udp-ports"], ["-T", "--tcp-ns"], ["-U", "--udp-ns"]] {
            if !self.has(&names) {
                words.extend([names[0].to_owned(), "none".to_owned()]);
            }
        }
        if !self.has(&["--map-gw", "--no-map-gw"]) {
            words.push("--no-map-gw".to_owned());
        }
        if !self.has(&["--dns-forward"]) {
            words.extend(["--dns-forward".to_owned(), DNS.to_string()]);
        }
        if tool.has("--map-guest-addr") && !self.has(&["--map-guest-addr"]) {
            words.extend(["--map-guest-addr".to_owned(), HOST.to_string()]);
        }
        if self.is_apart(Some(tool)) {
            let (address, gateway) = APART;
            words.extend(["-a".to_owned(), address.to_string(), "-n".to_owned(), "24".to_owned()]);
            words.extend(["-g".to_owned(), gateway.to_string()]);
        }
        // It would become nobody, who may not enter the namespace.
        if userns::host_uid() == 0 {
            words.extend(["--runas".to_owned(), "0".to_owned()]);
        }
        if let Some(mac) = self.mac {
            words.extend(["--ns-mac-addr".to_owned(), mac.to_string()]);
        }
        // podman's own word, which pasta does not have.
        words.extend(self.words.iter().filter(|word| *word != "--map-gw").cloned());
        let file = |name: &str| place.join(name).to_string_lossy().into_owned();
        words.extend(["--pid".to_owned(), file(READY), "--netns".to_owned(), file(NET)]);
        words
    }
}

/// The files in the tmpfs.
const NET: &str = "net";
const READY: &str = "ready";

/// The first IPv4 address of an interface of the host.
fn address_of(interface: &str) -> Option<Ipv4Addr> {
    let all = getifaddrs().ok()?.filter(|one| one.interface_name == interface);
    all.filter_map(|one| Some(one.address?.as_sockaddr_in()?.ip())).next()
}

impl Driver for PastaOptions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn validate(&self) -> Result<Tool> {
        let tool = Tool::of(find()?);
        // Newer versions print it to standard output, older ones to standard error.
        let help = command(&tool.program).arg("--help").output();
        let help = help.map(|said| [said.stdout, said.stderr].concat()).unwrap_or_default();
        let help = String::from_utf8_lossy(&help);
        let newer = NEWER.into_iter().filter(|option| help.contains(option)).collect();
        Ok(Tool { newer, ..tool })
    }

    fn set_up(&self, tool: &Tool, place: &Path, netns: BorrowedFd<'_>) -> Result<Box<dyn Helper>, Failure> {
        let set_up = || {
            let log = Log::new().doing("keep the error output of", NAME)?;
            let parent = unistd::getpid();
            let child = fork::spawn(0, |link| {
                let Err(failure) = execute(self, tool, (place, netns, parent), &link, &log);
                // The parent may be gone; then nobody asks.
                let _ = link.send(&Word::Failed(failure), &[]);
                127
            })
            .doing(Step::Start, &tool.program)?;
            Ok(Pasta { child, said: RefCell::new(None), log })
        };
        set_up()
            .map(|pasta| Box::new(pasta) as Box<dyn Helper>)
            .map_err(|failure: Failure| failure.in_stage(NAME))
    }

    fn explain(&self, tool: &Tool, failure: &Failure) -> Error {
        let text = failure.describe();
        let error = Error::new(Kind::Network, format!("the container's network could not be set up: {text}"));
        match failure.step() {
            Step::Execute if failure.errno() == Errno::ENOENT => not_installed().caused_by(error),
            Step::OpenTun => error.hint(super::slirp::tun_hint()),
            _ if !self.words.is_empty() => error.hint(format!(
                "See what the installed version takes: {} --help. Without options: --network pasta",
                tool.program.display()
            )),
            _ => error.hint("Try without network: --network none."),
        }
    }

    fn reach(&self, tool: Option<&Tool>) -> Reach {
        let has_ipv6 = Path::new("/proc/net/if_inet6").exists() && !self.has(&["-4", "--ipv4-only"]);
        Reach {
            four: Some(Four { address: self.addresses(tool).0, gateway: HOST }),
            gateway6: has_ipv6.then_some(HOST6),
            keep_client: true,
        }
    }

    fn host(&self, primary: Option<Ipv4Addr>, tool: Option<&Tool>) -> Option<IpAddr> {
        if let Some(text) = self.value(&["--map-guest-addr"]) {
            return text.parse().ok();
        }
        let (address, gateway) = self.addresses(tool);
        match tool {
            _ if self.has(&["--map-gw"]) => gateway.map(Into::into),
            Some(tool) if tool.has("--map-guest-addr") => Some(HOST.into()),
            _ => primary.filter(|host| *host != address).map(Into::into),
        }
    }

    fn servers(&self, listed: &[IpAddr], _: &HostResolver) -> Vec<IpAddr> {
        let outside = listed.iter().copied().filter(|ip| !ip.is_loopback() && !ip.is_unspecified());
        self.dns().into_iter().chain(outside).collect()
    }
}

/// Becomes pasta; returns only a failure.
fn execute(
    options: &PastaOptions,
    tool: &Tool,
    (place, netns, parent): (&Path, BorrowedFd<'_>, unistd::Pid),
    link: &fork::Link,
    log: &Log,
) -> Result<Infallible, Failure> {
    leave_monitor(NAME, log)?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).doing("watch", "the monitor")?;
    if unistd::getppid() != parent {
        return Err(Failure::other("watch", "the monitor", "it has ended"));
    }
    let ready = furnish(place, netns)?;
    link.send(&Word::Made, &[ready.as_fd()]).doing("tell", "the monitor")?;
    become_program(&tool.program, options.arguments(tool, place))
}

/// Gives pasta its two files, in a mount namespace of its own; returns the FIFO.
fn furnish(place: &Path, netns: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    unshare(CloneFlags::CLONE_NEWNS).doing(Step::MakeNamespaces, "a mount namespace")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).doing("keep apart", "mounts")?;
    let small = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), place, Some("tmpfs"), small, Some("size=16k,mode=0700")).doing("cover", place)?;
    let (net, ready) = (place.join(NET), place.join(READY));
    std::fs::write(&net, "").map_err(|e| Failure::other("make", net.to_string_lossy(), e.to_string()))?;
    let of_us = format!("/proc/self/fd/{}", netns.as_raw_fd());
    mount(Some(of_us.as_str()), &net, none, MsFlags::MS_BIND, none)
        .doing("mount a network namespace on", &net)?;
    unistd::mkfifo(&ready, Mode::S_IRUSR | Mode::S_IWUSR).doing("make", &ready)?;
    open(&ready, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty()).doing("open", &ready)
}

impl Pasta {
    /// Waits for the FIFO, and then for what pasta writes into it.
    fn follow(&self) -> Result<(), Failure> {
        let until = Instant::now() + READY_TIMEOUT;
        if self.said.borrow().is_none() {
            self.wait(self.child.link.as_fd(), until)?;
            match self.child.link.recv::<Word>().doing("hear from", NAME)? {
                Some((Word::Made, fds)) => drop(self.said.replace(fds.into_iter().next())),
                Some((Word::Failed(failure), _)) => return Err(failure),
                None => return Err(self.failed("it ended without a message")),
            }
        }
        let said = self.said.borrow();
        let Some(said) = said.as_ref() else { return Err(self.failed("it ended without a message")) };
        self.wait(said.as_fd(), until)?;
        // A failed exec is told by the link, whatever the FIFO says.
        match unistd::read(said, &mut [0u8; 32]) {
            Ok(1..) => Ok(()),
            _ => Err(self.end()),
        }
    }

    /// Waits until this is readable, or pasta has ended.
    fn wait(&self, fd: BorrowedFd<'_>, until: Instant) -> Result<(), Failure> {
        loop {
            let left =
                until.saturating_duration_since(Instant::now()).as_millis().min(READY_TIMEOUT.as_millis());
            let mut fds = [
                PollFd::new(fd, PollFlags::POLLIN),
                PollFd::new(self.child.pidfd.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)) {
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Failure::new("wait for", NAME, e)),
                Ok(0) => return Err(self.failed("the network was not ready after ten seconds")),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Why it has ended: it could not be executed, or what it wrote.
    fn end(&self) -> Failure {
        match self.child.link.recv::<Word>() {
            Ok(Some((Word::Failed(failure), _))) => failure,
            _ => self.failed("it ended without a message"),
        }
    }

    fn failed(&self, otherwise: &str) -> Failure {
        // It shows all its options when it does not know one.
        let unknown = |log: &str| Some(log.lines().find(|line| line.starts_with("pasta: "))?.to_owned());
        let said =
            unknown(&self.log.text()).or_else(|| self.log.end()).unwrap_or_else(|| otherwise.to_owned());
        unready(NAME, said)
    }
}

impl Helper for Pasta {
    fn pid(&self) -> unistd::Pid {
        self.child.pid
    }

    fn has_ended(&self) -> bool {
        has_ended(self.child.pidfd.as_fd())
    }

    fn wait_ready(&self) -> Result<(), Failure> {
        self.follow().map_err(|failure| failure.in_stage(NAME))
    }
}

impl Drop for Pasta {
    fn drop(&mut self) {
        // Nothing else tells it to leave.
        let _ = process::pidfd_send_signal(self.child.pidfd.as_fd(), nix::libc::SIGKILL);
        let _ = self.child.wait();
    }
}
