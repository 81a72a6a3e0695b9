//! The container's network, as the monitor sees it: slirp4netns, the port forwarder, name files.

use crate::fork::{self, Child, Doing, Failure, Step};
use crate::netns::forwarder::Report;
use crate::netns::{self, files as texts, slirp};
use crate::runtime::init::FileOrder;
use crate::runtime::passwd;
use crate::spec::network::{HostsBase, SlirpOptions};
use crate::spec::{ContainerSpec, NetworkMode};
use crate::sys::read::text_of;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The helpers that carry a container's network.
#[derive(Debug)]
pub struct Network {
    slirp: RefCell<slirp::Slirp>,
    forwarder: Option<Child>,
    /// What another slirp4netns is started with.
    program: PathBuf,
    options: SlirpOptions,
    netns: OwnedFd,
    /// When the last one was started, and how many have died young in a row.
    started: Cell<Instant>,
    young: Cell<u32>,
}

/// A slirp4netns that lived that long did not fail at once.
const GROWN: Duration = Duration::from_secs(5);
/// How many that fail at once are followed by another.
const TRIES: u32 = 5;

impl Network {
    /// The helpers' processes.
    pub(super) fn pids(&self) -> Vec<Pid> {
        self.forwarder.iter().map(|child| child.pid).chain([self.slirp.borrow().pid()]).collect()
    }

    /// Waits until the container can send and receive.
    pub(super) fn wait_ready(&self) -> Result<(), Failure> {
        self.slirp.borrow().wait_ready()?;
        let Some(forwarder) = &self.forwarder else { return Ok(()) };
        match forwarder.link.recv::<Report>().doing("hear from", "port forwarder")? {
            Some((Report::Ready { .. }, _)) => Ok(()),
            Some((Report::Failed(failure), _)) => Err(failure),
            None => Err(Failure::other("start", "port forwarder", "it died")),
        }
    }

    /// Starts slirp4netns again when it has died: the container's connections are lost, its network is not.
    pub fn mend(&self) {
        if !self.slirp.borrow().has_ended() {
            return;
        }
        let young = if self.started.get().elapsed() < GROWN { self.young.get() + 1 } else { 0 };
        self.young.set(young);
        if young > TRIES {
            return;
        }
        self.started.set(Instant::now());
        if let Ok(again) = slirp::spawn(&self.program, &self.options, self.netns.as_fd()) {
            self.slirp.replace(again);
        }
    }
}

/// Starts the network of a container that was just cloned and still waits, in its network namespace and the
/// user namespace that owns it; nothing is waited for here.
pub(super) fn begin(
    plan: &ContainerSpec,
    program: Option<&Path>,
    netns: OwnedFd,
    userns: OwnedFd,
    listeners: Vec<netns::Listener>,
) -> Result<Option<Network>, Failure> {
    let (NetworkMode::Slirp(options), Some(program)) = (&plan.network.mode, program) else { return Ok(None) };
    let slirp = slirp::spawn(program, options, netns.as_fd())?;
    let forwarder = if listeners.is_empty() {
        None
    } else {
        let netns = netns.try_clone().doing("copy", "a namespace")?;
        let serve = |link| netns::forwarder::serve(listeners, options, userns, netns, link);
        Some(fork::spawn(0, serve).doing(Step::Start, "port forwarder")?)
    };
    Ok(Some(Network {
        slirp: RefCell::new(slirp),
        forwarder,
        program: program.to_owned(),
        options: options.clone(),
        netns,
        started: Cell::new(Instant::now()),
        young: Cell::new(0),
    }))
}

/// Closes published ports, then lets the helpers end.
pub(super) fn close(network: Option<Network>) {
    if let Some(Network { slirp, forwarder, .. }) = network {
        if let Some(forwarder) = forwarder {
            netns::forwarder::stop(forwarder);
        }
        drop(slirp);
    }
}

/// The files that are generated for a container.
pub(super) fn files(plan: &ContainerSpec, root: &Path) -> Result<Vec<FileOrder>, Failure> {
    let host_file = text_of("/etc/hosts").unwrap_or_default();
    let base = match &plan.network.hosts_base {
        HostsBase::Localhost => None,
        HostsBase::Empty => Some(String::new()),
        HostsBase::Image => {
            let look = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let root = open(root, look, Mode::empty()).doing("open", root)?;
            let of_image = passwd::read_database(root.as_fd(), "etc/hosts")?.unwrap_or_default();
            Some(String::from_utf8_lossy(&of_image).into_owned())
        }
        HostsBase::File(path) => Some(text_of(path).doing("read", path)?),
    };
    let facts = texts::HostsFacts {
        hostname: &plan.hostname,
        name: plan.name.as_str(),
        host_address: netns::host_address(),
        host_file: &host_file,
        base: base.as_deref(),
    };
    let wanted = [
        ("/etc/hostname", plan.files.hostname.then(|| format!("{}\n", plan.hostname)), 0o644),
        ("/etc/hosts", plan.files.hosts.then(|| texts::hosts(&plan.network, &facts)), 0o644),
        ("/etc/resolv.conf", texts::resolv_conf(&plan.network, &netns::host_resolver()), 0o644),
        match (plan.files.as_docker, plan.security.privileged) {
            (true, _) => ("/.dockerenv", Some(String::new()), 0o755),
            (false, true) => ("/run/.containerenv", Some(container_env(plan)), 0o644),
            // Others learn nothing of the host.
            (false, false) => ("/run/.containerenv", Some(String::new()), 0o644),
        },
    ];
    let order = |(path, content, mode): (&str, Option<String>, u32)| {
        content.map(|content| FileOrder { path: path.to_owned(), content, mode })
    };
    let mut all: Vec<FileOrder> = wanted.into_iter().filter_map(order).collect();
    for dir in &plan.chroot_dirs {
        let of_etc = all.iter().filter(|file| file.path.starts_with("/etc/"));
        let again: Vec<FileOrder> = of_etc
            .map(|file| FileOrder { path: format!("{}{}", dir.display(), file.path), ..file.clone() })
            .collect();
        all.extend(again);
    }
    Ok(all)
}

/// What programs in a privileged container read to learn where they are, as podman has it.
fn container_env(plan: &ContainerSpec) -> String {
    let image = plan
        .image
        .as_ref()
        .map_or_else(String::new, |i| format!("image=\"{}\"\nimageid=\"{}\"\n", i.reference, i.id.hex()));
    format!(
        "engine=\"coracle-{}\"\nname=\"{}\"\nid=\"{}\"\n{image}rootless=1\n",
        env!("CARGO_PKG_VERSION"),
        plan.name,
        plan.id
    )
}
