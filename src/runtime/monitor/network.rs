//! The container's network, as the monitor sees it: a driver's program or networks that are shared, the port forwarder, name files.

use super::context::MonitorContext;
use crate::fork::{self, Child, Doing, Failure, Step};
use crate::netns::bridge::{Membership, Tools, Wish};
use crate::netns::forwarder::Report;
use crate::netns::{self, Helper, Reach, Tool, driver, files as texts};
use crate::runtime::init::FileOrder;
use crate::runtime::passwd;
use crate::spec::network::HostsBase;
use crate::spec::{Attached, Attachment, ContainerSpec, NetworkMode, UserNetwork};
use crate::sys::read::text_of;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::cell::{Cell, Ref, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What carries a container's network.
#[derive(Debug)]
pub struct Network {
    carrier: Carrier,
    forwarder: Option<Child>,
}

#[derive(Debug)]
enum Carrier {
    /// A program of its own.
    Own(Box<Own>),
    /// The networks that it shares with others.
    Shared(RefCell<Vec<Membership>>),
}

/// A driver's program, and what another one is started with.
#[derive(Debug)]
struct Own {
    helper: RefCell<Box<dyn Helper>>,
    mode: NetworkMode,
    tool: Tool,
    place: PathBuf,
    netns: OwnedFd,
    /// When the last one was started, and how many have died young in a row.
    started: Cell<Instant>,
    young: Cell<u32>,
}

/// A program that lived that long did not fail at once.
const GROWN: Duration = Duration::from_secs(5);
/// How many that fail at once are followed by another.
const TRIES: u32 = 5;

impl Network {
    /// The helpers' processes that are children of ours.
    pub(super) fn pids(&self) -> Vec<Pid> {
        let helper = match &self.carrier {
            Carrier::Own(own) => Some(own.helper.borrow().pid()),
            Carrier::Shared(_) => None,
        };
        self.forwarder.iter().map(|child| child.pid).chain(helper).collect()
    }

    /// Waits until the container can send and receive.
    pub(super) fn wait_ready(&self) -> Result<(), Failure> {
        match &self.carrier {
            Carrier::Own(own) => own.helper.borrow().wait_ready()?,
            Carrier::Shared(all) => all.borrow().iter().try_for_each(Membership::wait_up)?,
        }
        let Some(forwarder) = &self.forwarder else { return Ok(()) };
        match forwarder.link.recv::<Report>().doing("hear from", "port forwarder")? {
            Some((Report::Ready { .. }, _)) => Ok(()),
            Some((Report::Failed(failure), _)) => Err(failure),
            None => Err(Failure::other("start", "port forwarder", "it died")),
        }
    }

    /// Starts again what has died: the container's connections to the outside are lost, its network is not.
    pub fn mend(&self) {
        match &self.carrier {
            Carrier::Own(own) => own.mend(),
            Carrier::Shared(all) => all.borrow_mut().iter_mut().for_each(Membership::mend),
        }
    }

    /// The networks that it shares with others, for who watches them.
    pub fn memberships(&self) -> Option<Ref<'_, [Membership]>> {
        match &self.carrier {
            Carrier::Own(_) => None,
            Carrier::Shared(all) => Some(Ref::map(all.borrow(), Vec::as_slice)),
        }
    }
}

impl Own {
    fn mend(&self) {
        if !self.helper.borrow().has_ended() {
            return;
        }
        let young = if self.started.get().elapsed() < GROWN { self.young.get() + 1 } else { 0 };
        self.young.set(young);
        if young > TRIES {
            return;
        }
        self.started.set(Instant::now());
        let Some(driver) = driver(&self.mode) else { return };
        if let Ok(again) = driver.set_up(&self.tool, &self.place, self.netns.as_fd()) {
            self.helper.replace(again);
        }
    }
}

/// Becomes a member of the networks that the container shares with others: their addresses are in the files that it
/// gets.
pub(super) fn join(context: &MonitorContext<'_>) -> Result<Vec<Membership>, Failure> {
    let MonitorContext { plan, networks, tool, .. } = context;
    let NetworkMode::Bridge(attachments) = &plan.network.mode else { return Ok(Vec::new()) };
    let tools = Tools {
        runtime: context.store.runtime().to_owned(),
        slirp: tool.as_ref().map(|tool| tool.program.clone()),
        leave: vec![context.places.merged.clone()],
    };
    let mut names = vec![context.dir.name_given(plan).to_string(), plan.id.short().to_owned()];
    // What it calls itself, unless that is only its id.
    names.push(plan.hostname.clone());
    let member = |(at, (attachment, network)): (usize, (&Attachment, &UserNetwork))| {
        let names = names.iter().chain(&attachment.aliases);
        let wish = Wish {
            container: plan.id.clone(),
            names: names.cloned().collect(),
            ip: attachment.ip,
            ip6: attachment.ip6,
            mac: attachment.mac,
            interface: attachment.interface.clone().unwrap_or_else(|| format!("eth{at}")),
            servers: plan.network.dns.servers.clone(),
        };
        Membership::join(network, &wish, &tools)
    };
    attachments.iter().zip(networks).enumerate().map(member).collect()
}

/// Starts the network of a container that was just cloned and still waits, in its network namespace and the
/// user namespace that owns it; nothing is waited for here.
pub(super) fn begin(
    context: &MonitorContext<'_>,
    memberships: Vec<Membership>,
    netns: OwnedFd,
    userns: OwnedFd,
    listeners: Vec<netns::Listener>,
) -> Result<Option<Network>, Failure> {
    let reach;
    let mode = &context.plan.network.mode;
    let carrier = match (driver(mode), &context.tool) {
        (Some(driver), Some(tool)) => {
            reach = Some(driver.reach(Some(tool)));
            let place = context.store.runtime().to_owned();
            Carrier::Own(Box::new(Own {
                helper: RefCell::new(driver.set_up(tool, &place, netns.as_fd())?),
                mode: mode.clone(),
                tool: tool.clone(),
                place,
                netns: netns.try_clone().doing("copy", "a namespace")?,
                started: Cell::new(Instant::now()),
                young: Cell::new(0),
            }))
        }
        (None, _) if !memberships.is_empty() => {
            let outward = memberships.iter().position(Membership::leads_out);
            for (at, member) in memberships.iter().enumerate() {
                member.plug(netns.as_fd(), Some(at) == outward)?;
            }
            let attached: Vec<&Attached> = memberships.iter().map(Membership::attached).collect();
            reach = Reach::of(&attached);
            Carrier::Shared(RefCell::new(memberships))
        }
        _ => return Ok(None),
    };
    let forwarder = match reach {
        Some(reach) if !listeners.is_empty() => {
            let serve = |link| netns::forwarder::serve(listeners, &reach, userns, netns, link);
            Some(fork::spawn(0, serve).doing(Step::Start, "port forwarder")?)
        }
        _ => None,
    };
    Ok(Some(Network { carrier, forwarder }))
}

/// Closes published ports, then lets the helpers end.
pub(super) fn close(network: Option<Network>) {
    if let Some(Network { carrier, forwarder }) = network {
        if let Some(forwarder) = forwarder {
            netns::forwarder::stop(forwarder);
        }
        drop(carrier);
    }
}

/// The files that are generated for a container.
pub(super) fn files(
    plan: &ContainerSpec,
    tool: Option<&Tool>,
    networks: &[&Attached],
    root: &Path,
) -> Result<Vec<FileOrder>, Failure> {
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
        networks,
        host_address: netns::host_address(),
        host_file: &host_file,
        base: base.as_deref(),
        tool,
    };
    let wanted = [
        ("/etc/hostname", plan.files.hostname.then(|| format!("{}\n", plan.hostname)), 0o644),
        ("/etc/hosts", plan.files.hosts.then(|| texts::hosts(&plan.network, &facts)), 0o644),
        ("/etc/resolv.conf", texts::resolv_conf(&plan.network, networks, &netns::host_resolver()), 0o644),
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
